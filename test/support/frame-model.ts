/** Common parts of the test models: they take a frame as `frames` and return one of the same size as `same`. */
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import type { ModelManifest } from '../../shared/contract/model-manifest.ts';
import { onnxInput, onnxOutput } from './onnx-writer.ts';

const PICTURES = { type: 'uint8', dims: ['batch', 'height', 'width', 3] } as const;

export const FRAMES_IN = onnxInput({ name: 'frames', ...PICTURES });
export const FRAMES_OUT = onnxOutput({ name: 'same', ...PICTURES });

/** Writes a model to `<folder>/<name>/`, as `FRAMEFLEET_LOCAL_MODELS` expects it. Returns the path of its graph. */
export async function writeFrameModel(
  folder: string,
  name: string,
  model: Buffer,
  more: Partial<Pick<ModelManifest, 'state' | 'output'>> & { readonly half?: Uint8Array } = {},
): Promise<string> {
  const { half, ...fields } = more;
  const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
  const pixels = { type: 'uint8', layout: 'NHWC', channels: 'rgb' };
  const manifest = {
    name,
    version: '1',
    file: `${name}.onnx`,
    sha256: hashOf(model),
    input: { name: 'frames', ...pixels, size: 'any' },
    output: { name: 'same', ...pixels, scale: 1 },
    ...(half && { float16: { file: `${name}-float16.onnx`, sha256: hashOf(half), difference: 0 } }),
    ...fields,
  };
  const own = path.join(folder, name);
  await mkdir(own, { recursive: true });
  await writeFile(path.join(own, manifest.file), model);
  if (half !== undefined) await writeFile(path.join(own, `${name}-float16.onnx`), half);
  await writeFile(path.join(own, 'model.json'), JSON.stringify(manifest));
  return path.join(own, manifest.file);
}
