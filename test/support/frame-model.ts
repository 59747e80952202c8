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
  more: Partial<Pick<ModelManifest, 'state' | 'output'>> = {},
): Promise<string> {
  const pixels = { type: 'uint8', layout: 'NHWC', channels: 'rgb' };
  const manifest = {
    name,
    version: '1',
    file: `${name}.onnx`,
    sha256: createHash('sha256').update(model).digest('hex'),
    input: { name: 'frames', ...pixels, size: 'any' },
    output: { name: 'same', ...pixels, scale: 1 },
    ...more,
  };
  const own = path.join(folder, name);
  await mkdir(own, { recursive: true });
  await writeFile(path.join(own, manifest.file), model);
  await writeFile(path.join(own, 'model.json'), JSON.stringify(manifest));
  return path.join(own, manifest.file);
}
