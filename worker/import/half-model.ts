/**
 * Gives a model in a folder its second file, with float16 arithmetic, and measures on a picture how far it is from float32.
 *
 * By default a file is kept if it is close enough, so that a fleet may mix workers with and without a GPU. The model is usable without it,
 * so a graph that cannot be converted is no error.
 */
import { createHash } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import type { HalfFile, ModelManifest } from '../../shared/contract/model-manifest.ts';
import { describeError } from '../../shared/runtime/errors.ts';
import { toHalf } from './half.ts';
import { runProgram } from './trial.ts';

const PROGRAM = fileURLToPath(new URL('./half-trial-main.ts', import.meta.url));
/** Of the values of a picture: so many may differ by more than one grey level. They lie at edges, where it does not show. */
const SHARE_OVER_ONE_MAX = 0.001;
/** Of numbers: ten times the rounding of a single one. More is not a matter of rounding. */
const NUMBERS_DIFFERENCE_MAX = 0.01;

/** Keep the file if it is close to float32, in any case, or make none. */
export type HalfChoice = 'auto' | 'always' | 'never';

export type HalfTrial =
  | { readonly kind: 'pictures'; readonly difference: number; readonly shareOverOne: number }
  | { readonly kind: 'numbers'; readonly difference: number; readonly areClassesSame: boolean }
  | { readonly kind: 'failed'; readonly reason: string };

export interface HalfOptions {
  /** Has `model.json` and the file that it names. */
  readonly folder: string;
  readonly manifest: ModelManifest;
  readonly picturePath: string;
  readonly choice: HalfChoice;
}

export interface HalfOutcome {
  /** Undefined if the model has no second file. */
  readonly float16?: HalfFile;
  /** For the owner of the model: what was found out. */
  readonly remark?: string;
}

/** Writes the file, but not the manifest. */
export async function makeHalf({ folder, manifest, picturePath, choice }: HalfOptions): Promise<HalfOutcome> {
  if (choice === 'never') return {};
  const modelPath = path.join(folder, manifest.file);
  const model = await readFile(modelPath);
  const [bytes, simulated] = [toHalf(model), toHalf(model, 'simulated')];
  if (bytes === undefined || simulated === undefined)
    return choice === 'always' ? { remark: 'float16: none, because the model has no float32 weights.' } : {};
  const file = `${path.basename(manifest.file, '.onnx')}-float16.onnx`;
  const halfPath = path.join(folder, file);
  const simulatedPath = path.join(folder, 'simulated.onnx');
  await writeFile(halfPath, bytes);
  await writeFile(simulatedPath, simulated);
  const trial = await runProgram(PROGRAM, [
    modelPath,
    halfPath,
    simulatedPath,
    path.join(folder, 'model.json'),
    picturePath,
  ]).catch((error: unknown): HalfTrial => ({ kind: 'failed', reason: describeError(error) }));
  await rm(simulatedPath);
  const outcome = judge(trial as HalfTrial, choice);
  if (!outcome.isKept) {
    await rm(halfPath);
    return { remark: outcome.remark };
  }
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { float16: { file, sha256, ...outcome.measured }, remark: outcome.remark };
}

type Judgement = { readonly remark: string } & (
  | { readonly isKept: false }
  | { readonly isKept: true; readonly measured: Pick<HalfFile, 'difference' | 'shareOverOne'> }
);

function judge(trial: HalfTrial, choice: HalfChoice): Judgement {
  if (trial.kind === 'failed')
    return { isKept: false, remark: `float16: none, because it does not run: ${trial.reason}` };
  const found = differenceText(trial);
  const isClose =
    trial.kind === 'pictures'
      ? trial.shareOverOne <= SHARE_OVER_ONE_MAX
      : trial.areClassesSame && trial.difference <= NUMBERS_DIFFERENCE_MAX;
  if (!isClose && choice !== 'always')
    return {
      isKept: false,
      remark: `${found} That is too far: all workers run the model in float32. Add \`--float16\` to run it in float16 on GPUs.`,
    };
  const { difference } = trial;
  const measured =
    trial.kind === 'pictures' ? { difference, shareOverOne: trial.shareOverOne } : { difference };
  return { isKept: true, remark: found, measured };
}

function differenceText(trial: Exclude<HalfTrial, { kind: 'failed' }>): string {
  if (trial.kind === 'numbers') {
    const classes = trial.areClassesSame ? '' : ', and it finds other classes';
    return `float16: up to ${percent(trial.difference)} from float32${classes}.`;
  }
  const { difference, shareOverOne } = trial;
  const levels = `${difference} grey ${difference === 1 ? 'level' : 'levels'}`;
  const share = shareOverOne > 0 ? `; ${percent(shareOverOne)} of the values differ by more than one` : '';
  return `float16: up to ${levels} from float32${share}.`;
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(1))} %`;
}
