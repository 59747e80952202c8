/**
 * Makes `painter.onnx`, `painter-float16.onnx` and `model.json` from a trained graph:
 *
 *   node worker/models/painter/make-steady.ts TRAINED.onnx TRAINED.json
 *
 * The trained graph paints each frame for itself. The published one keeps still parts of a video still.
 */
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { type HalfFile, modelManifest } from '../../../shared/contract/model-manifest.ts';
import { makeHalf } from '../../import/half-model.ts';
import { makeSteady } from '../../import/steady.ts';

/** 1920 x 1080. A worker then scores 8K in 3.5 GB. */
const PIXELS_MAX = 2_073_600;

const [, , graphPath = '', manifestPath = ''] = process.argv;
const own = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const trained = modelManifest.parse(JSON.parse(await readFile(manifestPath, 'utf8')));
const { bytes, changes } = makeSteady(await readFile(graphPath), trained);
const sha256 = createHash('sha256').update(bytes).digest('hex');
await writeFile(own('painter.onnx'), bytes);
const { batch, ...input } = trained.input;
const manifest = { ...trained, ...changes, sha256, input: { ...input, pixelsMax: PIXELS_MAX, batch } };
const write = (float16?: HalfFile): Promise<void> =>
  writeFile(
    own('model.json'),
    `${JSON.stringify({ ...manifest, ...(float16 && { float16 }) }, undefined, 2)}\n`,
  );
await write();
const picturePath = own('../../../infra/sample/frame.jpg');
const { float16, remark } = await makeHalf({ folder: own('.'), manifest, picturePath, choice: 'auto' });
await write(float16);
process.stdout.write(`${remark ?? ''}\n`);
