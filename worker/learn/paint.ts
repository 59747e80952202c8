/** What the painter makes of a picture in each of its styles, and whether another version makes the same of it. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import type { FrameSize } from '../../shared/contract/segment.ts';
import { PermanentError, describeError } from '../../shared/runtime/errors.ts';

const PROGRAM = fileURLToPath(new URL('./paint-main.ts', import.meta.url));
/** A style takes about 0.1 s; a model may have hundreds. */
const PAINT_MS_MAX = 600_000;
export const PAINTED_WIDTH_MAX = 640;
/** ONNX Runtime may choose other kernels for another graph, which round differently. */
const LEVELS_MAX = 1;

export interface Painted {
  readonly size: FrameSize;
  /** Files with uint8 RGB pixels: of the picture, and of its paintings, one after the other. */
  readonly pixelsPath: string;
  readonly paintedPath: string;
}

export interface PaintRequest {
  readonly modelPath: string;
  readonly manifestPath: string;
  readonly picturePath: string;
  /** Receives the two files, whose names begin with this. */
  readonly prefix: string;
  readonly signal: AbortSignal;
}

/** Throws MODEL_INVALID or the signal's reason. */
export async function paintAll(request: PaintRequest): Promise<Painted> {
  const { modelPath, manifestPath, picturePath, prefix, signal } = request;
  const [pixelsPath, paintedPath] = [`${prefix}-pixels.rgb`, `${prefix}-painted.rgb`];
  const args = [PROGRAM, modelPath, manifestPath, picturePath, pixelsPath, paintedPath];
  try {
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: PAINT_MS_MAX, signal });
    return { size: JSON.parse(stdout) as FrameSize, pixelsPath, paintedPath };
  } catch (cause) {
    signal.throwIfAborted();
    throw new PermanentError(
      'MODEL_INVALID',
      `The painter cannot paint ${path.basename(picturePath)}: ${describeError(cause)}`,
      {
        hint: 'Check the picture of --picture, and the model: npm run model -- test painter',
        cause,
      },
    );
  }
}

/**
 * The pixels of the painting in the last style. Throws INTERNAL if the others differ from what the version before painted, or if there is not
 * exactly one more.
 */
export async function paintedInLast(before: Painted, after: Painted): Promise<Buffer> {
  const [old, now] = await Promise.all([readFile(before.paintedPath), readFile(after.paintedPath)]);
  const bytes = after.size.width * after.size.height * 3;
  const isSame =
    now.length === old.length + bytes &&
    old.every((level, index) => Math.abs(level - (now[index] ?? Infinity)) <= LEVELS_MAX);
  if (isSame) return now.subarray(old.length);
  throw new PermanentError(
    'INTERNAL',
    'The styles that the painter had would paint other pictures, so nothing was published.',
    { hint: 'Report this message.' },
  );
}
