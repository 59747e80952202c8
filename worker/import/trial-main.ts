/**
 * Tries a wrapped model, in a process of its own: a graph may crash, hang, or take all memory. Prints one JSON object.
 *
 *   node trial-main.ts MODEL MANIFEST PICTURE OUTPUT
 */
import { readFile, writeFile } from 'node:fs/promises';

import { modelManifest, parameterWeights } from '../../shared/contract/model-manifest.ts';
import type { FrameSize } from '../../shared/contract/segment.ts';
import { describeError } from '../../shared/runtime/errors.ts';
import { checkGraph } from '../engine/check-model.ts';
import { fitOf, wholePicture } from '../engine/fit.ts';
import { Inference, stateOf } from '../engine/inference-client.ts';
import { previewOf, readPicture, resizePicture } from '../engine/picture.ts';
import type { TrialResult, TrialRun } from './trial.ts';

/** Of the picture, unless the model has a fixed size: large enough to look at, small enough for any model. */
const PICTURE_WIDTH_MAX = 640;
/** Sides that are multiples of nothing. */
const ODD_SIZE = { width: 101, height: 67 };
/** Values below this are dark, and those as close to white are bright. */
const DARK = 8;

const [, , modelPath = '', manifestPath = '', picturePath = '', outputPath = ''] = process.argv;
// If memory runs out, this process goes first.
await writeFile('/proc/self/oom_score_adj', '1000').catch(() => undefined);
process.stdout.write(`${JSON.stringify(await tryModel())}\n`, () => process.exit(0));

async function tryModel(): Promise<TrialResult> {
  const manifest = modelManifest.parse(JSON.parse(await readFile(manifestPath, 'utf8')));
  const weights = parameterWeights(manifest, {});
  const inference = new Inference({
    onDeath: () => process.exit(1),
  });
  try {
    const request = { modelPath, executionProviders: ['cpu'], threads: 2, deviceId: 0 };
    checkGraph(manifest, (await inference.load(request)).graph);
  } catch (error) {
    return { kind: 'not loaded', reason: describeError(error) };
  }
  const run = async (pixels: Uint8Array, { width, height }: FrameSize) => {
    const count = manifest.input.batch === 'any' || manifest.state !== undefined ? 1 : manifest.input.batch;
    const together = Buffer.concat(Array.from({ length: count }, () => pixels));
    const input = {
      name: manifest.input.name,
      pixels: new Uint8Array(together),
      dims: [count, height, width, 3],
    };
    const tensors = stateOf(manifest, { width, height });
    const state = tensors && { tensors, isStart: true };
    return inference.infer({ input, weights, ...(state && { state }), outputName: manifest.output.name });
  };
  const { pixels, size } = await readPicture(picturePath, PICTURE_WIDTH_MAX);
  const { input, result } = fitOf(manifest, size);
  const fitted = new Uint8Array(input.width * input.height * 3);
  await resizePicture(pixels, size, fitted, input);
  try {
    const first = await run(Uint8Array.from(fitted), input);
    const again = await run(Uint8Array.from(fitted), input);
    const [, height = 0, width = 0] = first.dims;
    const scored = (first.pixels ?? new Uint8Array()).subarray(0, width * height * 3);
    const returned = { pixels: scored, size: wholePicture({ width, height }) };
    await writeFile(outputPath, await previewOf({ pixels: fitted, size: input }, returned, result));
    const main: TrialRun = { ...sizesOf(input, first.dims), seconds: again.seconds };
    return {
      kind: 'tried',
      main,
      odd: manifest.input.size === 'any' ? await tryOdd(run) : null,
      darkShare: scored.filter((value) => value < DARK).length / Math.max(1, scored.length),
      brightShare: scored.filter((value) => value > 255 - DARK).length / Math.max(1, scored.length),
    };
  } catch (error) {
    return { kind: 'failed', reason: describeError(error) };
  }
}

async function tryOdd(
  run: (
    pixels: Uint8Array,
    size: FrameSize,
  ) => Promise<{ readonly dims: readonly number[]; readonly seconds: number }>,
): Promise<TrialRun | { readonly reason: string }> {
  try {
    const { dims, seconds } = await run(
      new Uint8Array(ODD_SIZE.width * ODD_SIZE.height * 3).fill(128),
      ODD_SIZE,
    );
    return { ...sizesOf(ODD_SIZE, dims), seconds };
  } catch (error) {
    return { reason: describeError(error) };
  }
}

function sizesOf({ width, height }: FrameSize, dims: readonly number[]): Omit<TrialRun, 'seconds'> {
  return { input: { width, height }, output: { width: dims[2] ?? 0, height: dims[1] ?? 0 } };
}
