/**
 * Paints a picture in every style of a model, one after the other, in a process of its own. Writes the pixels of the picture to PIXELS, and those
 * of all styles to PAINTED, one after the other. Prints the size as one JSON object.
 *
 *   node paint-main.ts MODEL MANIFEST PICTURE PIXELS PAINTED
 */
import { readFile, writeFile } from 'node:fs/promises';

import { modelManifest } from '../../shared/contract/model-manifest.ts';
import { Inference } from '../engine/inference-client.ts';
import { readPicture } from '../engine/picture.ts';
import { loadForTrial } from '../import/trial-run.ts';
import { STYLE, stylesOf } from './add-style.ts';
import { PAINTED_WIDTH_MAX } from './paint.ts';

const [, , modelPath = '', manifestPath = '', picturePath = '', pixelsPath = '', paintedPath = ''] =
  process.argv;
const manifest = modelManifest.parse(JSON.parse(await readFile(manifestPath, 'utf8')));
const { pixels, size } = await readPicture(picturePath, PAINTED_WIDTH_MAX);
const inference = new Inference({ onDeath: () => process.exit(1) });
const run = await loadForTrial(inference, manifest, modelPath);
const painted: Uint8Array[] = [];
for (const style of stylesOf(manifest)) {
  const { outputs } = await run(pixels, size, { [STYLE]: style });
  painted.push(outputs[0]?.data as Uint8Array);
}
await writeFile(pixelsPath, pixels);
await writeFile(paintedPath, Buffer.concat(painted));
process.stdout.write(`${JSON.stringify(size)}\n`, () => process.exit(0));
