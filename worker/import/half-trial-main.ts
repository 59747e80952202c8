/**
 * Compares a model with its float16 form, in a process of its own. Prints one JSON object.
 *
 *   node half-trial-main.ts MODEL FLOAT16 SIMULATED MANIFEST PICTURE
 *
 * The CPU runs the float16 file without the roundings of a GPU, so that run shows only that the graph is sound. The difference is that of
 * the simulated graph, which has them.
 */
import { readFile, writeFile } from 'node:fs/promises';

import { type ModelManifest, modelManifest } from '../../shared/contract/model-manifest.ts';
import { findingsOf } from '../../shared/contract/scores.ts';
import { describeError } from '../../shared/runtime/errors.ts';
import { Inference, type OutputValue } from '../engine/inference-client.ts';
import type { HalfTrial } from './half-model.ts';
import { type TrialPicture, loadForTrial, trialPicture } from './trial-run.ts';

const [, , modelPath = '', halfPath = '', simulatedPath = '', manifestPath = '', picturePath = ''] =
  process.argv;
await writeFile('/proc/self/oom_score_adj', '1000').catch(() => undefined);
process.stdout.write(`${JSON.stringify(await compare())}\n`, () => process.exit(0));

async function compare(): Promise<HalfTrial> {
  const manifest = modelManifest.parse(JSON.parse(await readFile(manifestPath, 'utf8')));
  const inference = new Inference({ onDeath: () => process.exit(1) });
  const picture = await trialPicture(manifest, picturePath);
  const outputs = async (file: string): Promise<readonly OutputValue[]> => {
    const run = await loadForTrial(inference, manifest, file);
    return (await run(Uint8Array.from(picture.pixels), picture.fit.input)).outputs;
  };
  try {
    await outputs(halfPath);
    const [expected, found] = [await outputs(modelPath), await outputs(simulatedPath)];
    return 'kind' in manifest.output
      ? differenceOfNumbers(manifest, picture, expected, found)
      : differenceOfPictures(expected[0]?.data ?? [], found[0]?.data ?? []);
  } catch (error) {
    return { kind: 'failed', reason: describeError(error) };
  }
}

function differenceOfPictures(expected: ArrayLike<number>, found: ArrayLike<number>): HalfTrial {
  let [greatest, overOne] = [0, 0];
  for (let index = 0; index < expected.length; index += 1) {
    const difference = Math.abs((expected[index] ?? 0) - (found[index] ?? 0));
    greatest = Math.max(greatest, difference);
    if (difference > 1) overOne += 1;
  }
  return {
    kind: 'pictures',
    difference: greatest,
    shareOverOne: expected.length === 0 ? 0 : overOne / expected.length,
  };
}

/** Of each output, relative to its largest number. */
function differenceOfNumbers(
  manifest: ModelManifest,
  picture: TrialPicture,
  expected: readonly OutputValue[],
  found: readonly OutputValue[],
): HalfTrial {
  const differences = expected.map(({ data }, output) => {
    const numbers = Array.from(data ?? []);
    const largest = numbers.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    const greatest = numbers.reduce((max, value, index) => {
      const difference = Math.abs(value - (found[output]?.data?.[index] ?? Number.NaN));
      return Number.isNaN(difference) ? Infinity : Math.max(max, difference);
    }, 0);
    return greatest === 0 ? 0 : greatest / largest;
  });
  const difference = Math.max(0, ...differences);
  if (!Number.isFinite(difference))
    return { kind: 'failed', reason: 'it computes numbers that float16 cannot hold' };
  const isSame = classesOf(manifest, picture, expected) === classesOf(manifest, picture, found);
  return { kind: 'numbers', difference, areClassesSame: isSame };
}

/** The best class and the classes of the boxes. */
function classesOf(
  { output }: ModelManifest,
  { fit, size }: TrialPicture,
  outputs: readonly OutputValue[],
): string {
  if (!('kind' in output)) return '';
  const names = Object.keys(output.tensors);
  const numbers = outputs.map(({ data, dims }, index) => {
    const length = dims.slice(1).reduce((product, side) => product * side, 1);
    return {
      name: names[index] ?? '',
      data: Float32Array.from(data ?? []).subarray(0, length),
      dims: dims.slice(1),
    };
  });
  const { top = [], boxes = [] } = findingsOf(output, numbers, fit.input, size);
  const classes = [...top.slice(0, 1), ...boxes].map((found) => found.class);
  return classes.toSorted((one = -1, other = -1) => one - other).join(' ');
}
