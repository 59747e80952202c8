/** What may be said on the command line of `npm run enqueue`, and what it means. */
import { InvalidArgumentError, Option } from 'commander';

import { newCommand, parseCommand } from '../../shared/command/parse-command.ts';
import { NAME_PATTERN } from '../../shared/contract/blob-names.ts';
import {
  DEFAULT_MODEL,
  FAILED_FRAME_POLICIES,
  type FailedFramePolicy,
  type FailedFramesMax,
  PRIORITIES,
  type Priority,
  failedFramesMax,
} from '../../shared/contract/job.ts';
import { BATCH_FRAMES_MAX } from '../../shared/contract/limits.ts';

export interface EnqueueOptions {
  readonly videoPath: string;
  readonly model: { readonly name: string; readonly version?: string };
  readonly style: string | undefined;
  readonly batchSize: number | undefined;
  readonly outputPath: string | undefined;
  readonly priority: Priority;
  readonly onFailedFrame: FailedFramePolicy;
  readonly failedFramesMax: FailedFramesMax | undefined;
  readonly spendingMax: number | undefined;
  readonly deadline: { readonly at: string } | { readonly afterMs: number } | undefined;
  readonly asJson: boolean;
  readonly isDetached: boolean;
}

const EXAMPLES = `
Examples:
  npm run enqueue holiday.mp4
  npm run enqueue holiday.mp4 -- --style great-wave --out painted.mp4
  npm run enqueue holiday.mp4 -- --style starry-night:2,udnie:1
  npm run --silent enqueue holiday.mp4 -- --json
  npm run enqueue -- -- -odd-name.mp4

Without FRAMEFLEET_MEDIA_STORAGE the work is done on this machine; with it, by the fleet behind that storage account.
Exit status: 0 done, 1 the job failed, 64 usage, 65 the input cannot be used, 66 no such input, 69 something needed is
not reachable, 70 an internal error, 73 the output cannot be written, 77 not allowed, 130 interrupted.`;

/** The options, or null where help was asked for and printed. Throws USAGE. */
export function parseOptions(argv: readonly string[]): EnqueueOptions | null {
  const command = newCommand('npm run enqueue')
    .usage('VIDEO -- [options]')
    .description('Runs a model over every frame of a video, and puts the result beside it.')
    .argument('<video>', 'the file')
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
    .option('--out <path>', 'where to put the result: a file or a folder (default: beside the video)')
    .addOption(
      new Option('--priority <level>', 'before or after other jobs').choices(PRIORITIES).default('normal'),
    )
    .addOption(
      new Option('--on-failed-frame <policy>', 'what a frame that cannot be scored means')
        .choices(FAILED_FRAME_POLICIES)
        .default('keep-original'),
    )
    .option(
      '--max-failed-frames <frames>',
      'so many frames, or so many percent (5%), may fail before the job does (default: 5%, but always one)',
      parseFailedFramesMax,
    )
    .option(
      '--max-cost <amount>',
      'in the currency of the fleet’s prices: beyond it, no machine is started for this job (default: no limit)',
      parseAmount,
    )
    .option(
      '--deadline <when>',
      'in 2h or 90m, or at 2026-12-01T18:00Z: where it is at risk, machines that nobody takes away come first',
      parseDeadline,
    )
    .option('--json', 'print one JSON object, and no progress', false)
    .option('--detach', 'do not wait: needs a fleet that stays up (npm start, or Azure)', false)
    .addHelpText('after', EXAMPLES);
  const hint = 'Usage: npm run enqueue VIDEO -- [options]. All of them: npm run enqueue -- --help';
  if (!parseCommand(command, argv, hint)) return null;
  const set = command.opts<{
    style?: string;
    model?: EnqueueOptions['model'];
    batch?: number;
    out?: string;
    priority: Priority;
    onFailedFrame: FailedFramePolicy;
    maxCost?: number;
    deadline?: EnqueueOptions['deadline'];
    maxFailedFrames?: FailedFramesMax;
    json: boolean;
    detach: boolean;
  }>();
  return {
    videoPath: command.args[0] ?? '',
    model: set.model ?? { name: DEFAULT_MODEL },
    style: set.style,
    batchSize: set.batch,
    outputPath: set.out,
    priority: set.priority,
    onFailedFrame: set.onFailedFrame,
    failedFramesMax: set.maxFailedFrames,
    spendingMax: set.maxCost,
    deadline: set.deadline,
    asJson: set.json,
    isDetached: set.detach,
  };
}

function parseModel(text: string): EnqueueOptions['model'] {
  const [name = '', version, ...rest] = text.split('@');
  const names = version === undefined ? [name] : [name, version];
  if (rest.length > 0 || names.some((one) => !NAME_PATTERN.test(one))) {
    throw new InvalidArgumentError('Expected a name such as painter, or painter@1.');
  }
  return version === undefined ? { name } : { name, version };
}

function parseDeadline(text: string): NonNullable<EnqueueOptions['deadline']> {
  const [, count, unit] = /^(\d{1,4})(m|h)$/.exec(text) ?? [];
  if (count !== undefined && Number(count) > 0)
    return { afterMs: Number(count) * (unit === 'h' ? 3_600_000 : 60_000) };
  const at = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}/.test(text) ? new Date(text) : new Date(NaN);
  if (Number.isNaN(at.getTime())) throw new InvalidArgumentError('Expected 2h, 90m, or 2026-12-01T18:00Z.');
  return { at: at.toISOString() };
}

function parseAmount(text: string): number {
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
