/**
 * Runs a picture model on one picture with each of its styles, on the CPU, in a process of its own: `0.jpg`, `1.jpg`, … in FOLDER, in the order
 * of the model's manifest. A file appears when it is complete. The page starts it.
 *
 *   node style-pictures-main.ts MODEL MANIFEST PICTURE FOLDER WIDTH
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { modelManifest } from '../../shared/contract/model-manifest.ts';
import { wholePicture } from '../engine/fit.ts';
import { Inference } from '../engine/inference-client.ts';
import { encodeImage } from '../engine/picture.ts';
import { loadForTrial, trialPicture } from './trial-run.ts';

const [, , modelPath = '', manifestPath = '', picturePath = '', folder = '', width = ''] = process.argv;
// If memory runs out, this process goes first.
await writeFile('/proc/self/oom_score_adj', '1000').catch(() => undefined);
await makePictures();
process.exit(0);

async function makePictures(): Promise<void> {
  const manifest = modelManifest.parse(JSON.parse(await readFile(manifestPath, 'utf8')));
  const run = await loadForTrial(new Inference({ onDeath: () => process.exit(1) }), manifest, modelPath);
  const { pixels, fit } = await trialPicture(manifest, picturePath, Number(width));
  const styles = manifest.parameters['style']?.values.map(({ id }) => id) ?? [];
  for (const [number, style] of styles.entries()) {
    const { outputs } = await run(Uint8Array.from(pixels), fit.input, { style });
    const [returned] = outputs;
    const [, height = 0, outputWidth = 0] = returned?.dims ?? [];
    const size = { width: outputWidth, height };
    const scored = new Uint8Array(returned?.data ?? []).subarray(0, outputWidth * height * 3);
    const file = path.join(folder, `${number}.jpg`);
    await writeFile(
      `${file}.part`,
      await encodeImage({ pixels: scored, size: wholePicture(size) }, fit.result, 'jpg'),
    );
    await rename(`${file}.part`, file);
  }
}
