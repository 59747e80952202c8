/** What may be said of a job on a command line, whichever video it is done with; for `enqueue` and `share`. */
import { type Command, InvalidArgumentError, Option } from 'commander';

import { NAME_PATTERN } from '../../shared/contract/blob-names.ts';
import {
  DEFAULT_MODEL,
  DEFAULT_SETTINGS,
  FAILED_FRAME_POLICIES,
  type FailedFramePolicy,
  type FailedFramesMax,
  type JobSettings,
  PRIORITIES,
  type Priority,
  failedFramesMax,
} from '../../shared/contract/job.ts';
import { BATCH_FRAMES_MAX } from '../../shared/contract/limits.ts';

export interface SaidOfJob {
  readonly style?: string;
  readonly model?: JobSettings['model'];
  readonly batch?: number;
  readonly priority: Priority;
  readonly onFailedFrame: FailedFramePolicy;
  readonly maxFailedFrames?: FailedFramesMax;
  readonly maxCost?: number;
}

export function addJobOptions(command: Command): Command {
  return command
    .option(
      '--style <style>',
      'which of the model’s styles, or a blend: starry-night:2,udnie:1 (default: its first)',
    )
    .option('--model <name[@version]>', `which model (default: ${DEFAULT_MODEL})`, parseModel)
    .option(
      '--batch <frames>',
      `frames per batch, 1 to ${BATCH_FRAMES_MAX} (default: about 30 s of work)`,
      parseBatch,
    )
    .addOption(
      new Option('--priority <level>', 'before or after other jobs')
        .choices(PRIORITIES)
        .default(DEFAULT_SETTINGS.priority),
    )
    .addOption(
      new Option('--on-failed-frame <policy>', 'what a frame that cannot be scored means')
        .choices(FAILED_FRAME_POLICIES)
        .default(DEFAULT_SETTINGS.onFailedFrame),
    )
    .option(
      '--max-failed-frames <frames>',
      'so many frames, or so many percent (5%), may fail before the job does (default: 5%, but always one)',
      parseFailedFramesMax,
    )
    .option(
      '--max-cost <amount>',
      'in the currency of the fleet’s prices: when it is spent, the job is held until npm run cap raises it (default: no limit)',
      parseAmount,
    );
}

const SAID_OF_JOB: readonly (keyof SaidOfJob)[] = [
  'style',
  'model',
  'batch',
  'priority',
  'onFailedFrame',
  'maxFailedFrames',
  'maxCost',
];

/** Whether any of these was typed, and not only meant. */
export function saysOfJob(command: Command): boolean {
  return SAID_OF_JOB.some((option) => command.getOptionValueSource(option) === 'cli');
}

export function jobSettingsOf(said: SaidOfJob): JobSettings {
  return {
    model: said.model ?? DEFAULT_SETTINGS.model,
    parameters: said.style === undefined ? {} : { style: said.style },
    ...(said.batch === undefined ? {} : { batchSize: said.batch }),
    priority: said.priority,
    onFailedFrame: said.onFailedFrame,
    ...(said.maxFailedFrames === undefined ? {} : { failedFramesMax: said.maxFailedFrames }),
    ...(said.maxCost === undefined ? {} : { spendingMax: said.maxCost }),
  };
}

function parseModel(text: string): JobSettings['model'] {
  const [name = '', version, ...rest] = text.split('@');
  const names = version === undefined ? [name] : [name, version];
  if (rest.length > 0 || names.some((one) => !NAME_PATTERN.test(one))) {
    throw new InvalidArgumentError('Expected a name such as painter, or painter@1.');
  }
  return version === undefined ? { name } : { name, version };
}

export function parseAmount(text: string): number {
  const amount = Number(text);
  if (!(amount > 0 && amount <= 1e9))
    throw new InvalidArgumentError('Expected an amount above 0, such as 2.50.');
  return amount;
}

function parseBatch(text: string): number {
  const frames = Number(text);
  if (!Number.isInteger(frames) || frames < 1 || frames > BATCH_FRAMES_MAX) {
    throw new InvalidArgumentError(`Expected a whole number from 1 to ${BATCH_FRAMES_MAX}.`);
  }
  return frames;
}

function parseFailedFramesMax(text: string): FailedFramesMax {
  const [, digits, unit] = /^(\d{1,8}(?:\.\d{1,6})?)(%?)$/.exec(text) ?? [];
  const max = unit === '%' ? { percent: Number(digits) } : { frames: Number(digits) };
  const parsed = failedFramesMax.safeParse(max);
  if (!parsed.success)
    throw new InvalidArgumentError('Expected a number of frames such as 12, or a share such as 5%.');
  return parsed.data;
}
