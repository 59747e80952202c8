/**
 * Paints a picture in every style of a model, one after the other, in a process of its own. Writes the pixels of the picture to PIXELS, and those
 * of all styles to PAINTED, one after the other. Prints the size as one JSON object.
 *
 *   node paint-main.ts MODEL MANIFEST PICTURE PIXELS PAINTED
 */
import { readFile, writeFile } from 'node:fs/promises';

import { modelManifest, parameterWeights } from '../../shared/contract/model-manifest.ts';
import { Inference, stateOf } from '../engine/inference-client.ts';
import { readPicture } from '../engine/picture.ts';
import { STYLE, stylesOf } from './add-style.ts';
import { PAINTED_WIDTH_MAX } from './paint.ts';

const [, , modelPath = '', manifestPath = '', picturePath = '', pixelsPath = '', paintedPath = ''] =
  process.argv;
const manifest = modelManifest.parse(JSON.parse(await readFile(manifestPath, 'utf8')));
const { pixels, size } = await readPicture(picturePath, PAINTED_WIDTH_MAX);
const inference = new Inference({ onDeath: () => process.exit(1) });
await inference.load({ modelPath, executionProviders: ['cpu'], threads: 2, deviceId: 0 });
const tensors = stateOf(manifest, size);
const painted: Uint8Array[] = [];
for (const style of stylesOf(manifest)) {
  const { outputs } = await inference.infer({
    input: {
      name: manifest.input.name,
      pixels: Uint8Array.from(pixels),
      dims: [1, size.height, size.width, 3],
    },
    weights: parameterWeights(manifest, { [STYLE]: style }),
    // At its start, a model that keeps still parts still paints the frame for itself.
    ...(tensors && { state: { tensors, isStart: true } }),
    outputs: 'kind' in manifest.output ? [] : [{ name: manifest.output.name }],
  });
  painted.push(outputs[0]?.data as Uint8Array);
}
await writeFile(pixelsPath, pixels);
await writeFile(paintedPath, Buffer.concat(painted));
process.stdout.write(`${JSON.stringify(size)}\n`, () => process.exit(0));
