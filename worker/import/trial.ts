/** Runs a wrapped model on a picture in a process of its own, and says what its owner should know. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import type { FrameSize } from '../../shared/contract/segment.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';

const PROGRAM = fileURLToPath(new URL('./trial-main.ts', import.meta.url));
const TRIAL_MS_MAX = 600_000;
/** Of the pixels: a picture this dark or bright is rarely what a model returns. */
const UNIFORM_SHARE = 0.95;
/** Tried in this order if a model does not take every size. */
export const MULTIPLES = [2, 4, 8, 16, 32, 64, 128];

export interface TrialRun {
  readonly input: FrameSize;
  readonly output: FrameSize;
  /** Of the second run: the first one includes preparations. */
  readonly seconds: number;
}

export interface SizeFailure {
  readonly reason: string;
  /** It runs on pictures whose sides are multiples of this; undefined if none was found. */
  readonly multiple?: number;
}

export type TrialResult =
  | {
      readonly kind: 'not loaded' | 'failed';
      readonly reason: string;
      /** What to do next, if the reason is something that the owner said. */
      readonly hint?: string;
      /** It runs on pictures whose sides are multiples of this. */
      readonly multiple?: number;
    }
  | {
      readonly kind: 'numbers';
      readonly input: FrameSize;
      readonly seconds: number;
      /** What one frame gives, by output. */
      readonly tensors: readonly { readonly name: string; readonly dims: readonly number[] }[];
      /** What the result says of the picture. */
      readonly line: string;
      /** Whether the scores of the classes are probabilities as the model returns them; null if there are none. */
      readonly areProbabilities: boolean | null;
      /** Outputs with values that are infinite or not a number. */
      readonly notFinite: readonly string[];
      /** If a picture whose sides are multiples of nothing fails. */
      readonly odd: SizeFailure | null;
    }
  | {
      readonly kind: 'tried';
      readonly main: TrialRun;
      /** On a picture whose sides are multiples of nothing; null if the model has a fixed size. */
      readonly odd: TrialRun | SizeFailure | null;
      /** Shares of the values of the scored picture. */
      readonly darkShare: number;
      readonly brightShare: number;
    };

export interface Trial {
  readonly modelPath: string;
  readonly manifestPath: string;
  /** The picture to run the model on. */
  readonly picturePath: string;
  /** Where to write it, before and after, as a JPEG, if the model returns pictures. */
  readonly outputPath: string;
}

/** Throws MODEL_INVALID if the process ends without a result. */
export async function runTrial({
  modelPath,
  manifestPath,
  picturePath,
  outputPath,
}: Trial): Promise<TrialResult> {
  return (await runProgram(PROGRAM, [modelPath, manifestPath, picturePath, outputPath])) as TrialResult;
}

/** Runs a program that tries a model, and returns what it prints. Throws MODEL_INVALID if the process ends without a result. */
export async function runProgram(program: string, args: readonly string[]): Promise<unknown> {
  try {
    const options = { timeout: TRIAL_MS_MAX };
    const { stdout } = await promisify(execFile)(process.execPath, [program, ...args], options);
    return JSON.parse(stdout) as unknown;
  } catch (cause) {
    const { signal, killed } = cause as { signal?: string | null; killed?: boolean };
    const why =
      killed === true
        ? `it took longer than ${TRIAL_MS_MAX / 60_000} minutes for one picture`
        : signal === 'SIGKILL'
          ? 'it needs more memory than this machine has'
          : `it crashed${signal === undefined || signal === null ? '' : ` (${signal})`}`;
    throw new PermanentError('MODEL_INVALID', `The model cannot be run: ${why}.`, {
      hint: 'Try a smaller model, or run the command on a larger machine.',
      cause,
    });
  }
}

/** How much larger the output is than the input, if that is one number. */
export function scaleOf({ input, output }: TrialRun): number | undefined {
  const scale = output.width / input.width;
  return scale >= 1 && output.height / input.height === scale ? scale : undefined;
}

/** The smallest multiple of which both sides of every output are, if the odd picture came back with other sides. */
export function multipleOf({ input, output }: TrialRun, scale: number): number | undefined {
  return MULTIPLES.find(
    (multiple) =>
      output.width === Math.ceil(input.width / multiple) * multiple * scale &&
      output.height === Math.ceil(input.height / multiple) * multiple * scale,
  );
}

/** A sentence about a picture that is nearly black or nearly white. */
export function uniformityWarning(result: TrialResult): string | undefined {
  if (result.kind !== 'tried') return undefined;
  const { darkShare, brightShare } = result;
  const look = darkShare > UNIFORM_SHARE ? 'black' : brightShare > UNIFORM_SHARE ? 'white' : undefined;
  return look && `The scored picture is nearly ${look}. Check \`--range\` and \`--output-range\`.`;
}
