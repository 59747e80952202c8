/**
 * Tries a wrapped model, in a process of its own: a graph may crash, hang, or take all memory. Prints one JSON object.
 *
 *   node trial-main.ts MODEL MANIFEST PICTURE OUTPUT
 */
import { readFile, writeFile } from 'node:fs/promises';

import { type NumbersOutput, modelManifest } from '../../shared/contract/model-manifest.ts';
import { type FrameNumbers, type FramePlace, findingsOf, scoreLine } from '../../shared/contract/scores.ts';
import type { FrameSize } from '../../shared/contract/segment.ts';
import { describeError } from '../../shared/runtime/errors.ts';
import { wholePicture } from '../engine/fit.ts';
import { type InferAnswer, Inference } from '../engine/inference-client.ts';
import { previewOf } from '../engine/picture.ts';
import { FormatError } from './picture-shape.ts';
import { type RunModel, loadForTrial, trialPicture } from './trial-run.ts';
import { MULTIPLES, type SizeFailure, type TrialResult, type TrialRun } from './trial.ts';

/** Sides that are multiples of nothing. */
const ODD_SIZE = { width: 101, height: 67 };
/** Values below this are dark, and those as close to white are bright. */
const DARK = 8;

/** For a frame: a line of the result is read as a whole. */
const NUMBERS_MAX = 100_000;

const [, , modelPath = '', manifestPath = '', picturePath = '', outputPath = ''] = process.argv;
// If memory runs out, this process goes first.
await writeFile('/proc/self/oom_score_adj', '1000').catch(() => undefined);
process.stdout.write(`${JSON.stringify(await tryModel())}\n`, () => process.exit(0));

async function tryModel(): Promise<TrialResult> {
  const manifest = modelManifest.parse(JSON.parse(await readFile(manifestPath, 'utf8')));
  const inference = new Inference({ onDeath: () => process.exit(1) });
  let run: RunModel;
  try {
    run = await loadForTrial(inference, manifest, modelPath);
  } catch (error) {
    return { kind: 'not loaded', reason: describeError(error) };
  }
  const { pixels: fitted, fit, size } = await trialPicture(manifest, picturePath);
  const { input, result } = fit;
  try {
    const first = await run(Uint8Array.from(fitted), input);
    const again = await run(Uint8Array.from(fitted), input);
    const { output } = manifest;
    if ('kind' in output) {
      return {
        kind: 'numbers',
        input: { width: input.width, height: input.height },
        seconds: again.seconds,
        ...numbersIn(output, again, input, size),
        odd: manifest.input.size === 'any' ? await oddFailure(run) : null,
      };
    }
    const [returned] = first.outputs;
    const { dims, data } = returned ?? { dims: [], data: undefined };
    const [, height = 0, width = 0] = dims;
    const scored = new Uint8Array(data ?? []).subarray(0, width * height * 3);
    const after = { pixels: scored, size: wholePicture({ width, height }) };
    await writeFile(outputPath, await previewOf({ pixels: fitted, size: input }, after, result));
    const main: TrialRun = { ...sizesOf(input, dims), seconds: again.seconds };
    return {
      kind: 'tried',
      main,
      odd: manifest.input.size === 'any' ? await tryOdd(run) : null,
      darkShare: scored.filter((value) => value < DARK).length / Math.max(1, scored.length),
      brightShare: scored.filter((value) => value > 255 - DARK).length / Math.max(1, scored.length),
    };
  } catch (error) {
    const hint = error instanceof FormatError ? { hint: error.hint } : {};
    const isSizeOpen = manifest.input.size === 'any' && !(error instanceof FormatError);
    const multiple = isSizeOpen ? await workingMultiple(run) : undefined;
    return { kind: 'failed', reason: describeError(error), ...hint, ...(multiple && { multiple }) };
  }
}

/** What the first frame of a run gave. Throws if an output does not begin with the frame, or is not what the manifest says. */
function numbersIn(
  output: NumbersOutput,
  { outputs }: InferAnswer,
  place: FramePlace,
  frame: FrameSize,
): Pick<Extract<TrialResult, { kind: 'numbers' }>, 'tensors' | 'line' | 'areProbabilities' | 'notFinite'> {
  const names = Object.keys(output.tensors);
  const numbers = outputs.map(({ data, dims }, index) => {
    const name = names[index] ?? '';
    const [count = 0, ...rest] = dims;
    const length = rest.reduce((product, side) => product * side, 1);
    if (!(data instanceof Float32Array) || count === 0 || data.length !== count * length)
      throw new RangeError(
        `the output "${name}" is ${dims.join(' x ') || 'a single number'}, without a dimension for the frame`,
      );
    if (length > NUMBERS_MAX)
      throw new RangeError(
        `the output "${name}" has ${length} numbers for a frame; the limit is ${NUMBERS_MAX}`,
      );
    return { name, data: data.subarray(0, length), dims: rest };
  });
  const { classes } = output;
  const scores = numbers.find(({ name }) => name === classes?.tensor);
  const labels = classes?.labels ?? [];
  if (scores !== undefined && labels.length > 0 && scores.data.length !== labels.length)
    throw new FormatError(
      `there are ${labels.length} labels for ${scores.data.length} scores`,
      'Pass a file to `--labels` that has one line for each score, in their order.',
    );
  if (output.boxes !== undefined) checkBoxes(output.boxes, numbers);
  return {
    tensors: numbers.map(({ name, dims }) => ({ name, dims })),
    line: scoreLine(0, findingsOf(output, numbers, place, frame)),
    areProbabilities: scores === undefined ? null : addUpToOne(scores.data),
    notFinite: numbers.filter(({ data }) => !data.every(Number.isFinite)).map(({ name }) => name),
  };
}

/** `"boxes" is 100 x 4`. */
function shapeOf(numbers: FrameNumbers | undefined): string {
  return `"${numbers?.name}" is ${numbers?.dims.join(' x ')}`;
}

/** Throws FormatError unless there are four numbers for each box, and one or more scores. */
function checkBoxes(
  { boxes, scores, classes }: NonNullable<NumbersOutput['boxes']>,
  numbers: readonly FrameNumbers[],
): void {
  const of = (name: string | undefined) => numbers.find((one) => one.name === name);
  const [corners, likely, kinds] = [of(boxes), of(scores), of(classes)];
  if (corners?.dims.at(-1) !== 4)
    throw new FormatError(
      `the output ${shapeOf(corners)} for a frame, not four numbers for each box`,
      'Pass the output with the boxes to `--boxes`. If no output has this form, export the detector with its last step (the suppression of boxes that overlap).',
    );
  const count = corners.data.length / 4;
  if (likely === undefined || (count > 0 && likely.data.length % count !== 0))
    throw new FormatError(
      `there are ${count} boxes, but the output ${shapeOf(likely)} for a frame`,
      'Pass an output to `--box-scores` that has a score for each box, or for each box and class.',
    );
  if (kinds !== undefined && kinds.data.length !== count)
    throw new FormatError(
      `there are ${count} boxes, but the output ${shapeOf(kinds)} for a frame`,
      'Pass an output to `--box-classes` that has one number for each box.',
    );
}

function addUpToOne(scores: Float32Array): boolean {
  const sum = scores.reduce((total, score) => total + score, 0);
  return scores.every((score) => score >= 0) && Math.abs(sum - 1) < 1e-3;
}

async function oddFailure(run: RunModel): Promise<SizeFailure | null> {
  const odd = await tryOdd(run);
  return 'reason' in odd ? odd : null;
}

async function tryOdd(run: RunModel): Promise<TrialRun | SizeFailure> {
  try {
    return await trySize(run, ODD_SIZE);
  } catch (error) {
    const multiple = await workingMultiple(run);
    return { reason: describeError(error), ...(multiple !== undefined && { multiple }) };
  }
}

/** The smallest number that the sides of a picture must be multiples of; undefined if the model fails for another reason. */
async function workingMultiple(run: RunModel): Promise<number | undefined> {
  for (const multiple of MULTIPLES) {
    // Odd times the number, so that no larger one divides it.
    const [width, height] = [ODD_SIZE.width, ODD_SIZE.height].map(
      (side) => multiple * (2 * Math.floor(side / multiple / 2) + 1),
    );
    try {
      await trySize(run, { width: width ?? multiple, height: height ?? multiple });
      return multiple;
    } catch {
      // The next one may work.
    }
  }
  return undefined;
}

async function trySize(run: RunModel, size: FrameSize): Promise<TrialRun> {
  const { outputs, seconds } = await run(new Uint8Array(size.width * size.height * 3).fill(128), size);
  return { ...sizesOf(size, outputs[0]?.dims ?? []), seconds };
}

function sizesOf({ width, height }: FrameSize, dims: readonly number[]): Omit<TrialRun, 'seconds'> {
  return { input: { width, height }, output: { width: dims[2] ?? 0, height: dims[1] ?? 0 } };
}
