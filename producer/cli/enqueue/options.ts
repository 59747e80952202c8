/** The command line of `npm run enqueue`. */
import { InvalidArgumentError } from 'commander';

import { parseDuration } from '../../../shared/command/duration.ts';
import { newCommand, parseCommand } from '../../../shared/command/parse-command.ts';
import type { JobSettings } from '../../../shared/contract/job.ts';
import { type SaidOfJob, addJobOptions, jobSettingsOf } from '../job-options.ts';

export interface EnqueueOptions {
  readonly videoPath: string;
  readonly settings: JobSettings;
  readonly outputPath: string | undefined;
  /** Whether an existing file may be replaced by the result. */
  readonly mayReplace: boolean;
  readonly deadline: { readonly at: string } | { readonly afterMs: number } | undefined;
  readonly asJson: boolean;
  readonly isDetached: boolean;
  /** Whether a fleet's first job looks first whether everything is ready. */
  readonly looksFirst: boolean;
}

const EXAMPLES = `
Examples:
  npm run enqueue holiday.mp4
  npm run enqueue holiday.mp4 -- --style great-wave --out painted.mp4
  npm run enqueue holiday.mp4 -- --style starry-night:2,udnie:1
  npm run --silent enqueue holiday.mp4 -- --json
  npm run enqueue -- -- -odd-name.mp4

Without FRAMEFLEET_MEDIA_STORAGE the work is done on this machine; with it, by the fleet behind that storage account.
A result that cannot be written when the job is done is kept: the command prints where it is and how to fetch it.
Exit status: 0 done, 1 the job failed, 64 usage, 65 the input cannot be used, 66 no such input, 69 something needed is
not reachable, 70 an internal error, 73 the output cannot be written or exists already, 77 not allowed, 130 interrupted.`;

/** The options, or null where help was asked for and printed. Throws USAGE. */
export function parseOptions(argv: readonly string[]): EnqueueOptions | null {
  const command = addJobOptions(
    newCommand('npm run enqueue')
      .usage('VIDEO -- [options]')
      .description('Runs a model over every frame of a video, and puts the result beside it.')
      .argument('<video>', 'the file'),
  )
    .option('--out <path>', 'where to put the result: a file or a folder (default: beside the video)')
    .option('--force', 'replace an existing file', false)
    .option(
      '--deadline <when>',
      'in 2h or 90m, or at 2026-12-01T18:00Z: where it is at risk, machines that nobody takes away come first',
      parseDeadline,
    )
    .option('--json', 'print one JSON object, and no progress', false)
    .option('--detach', 'do not wait: needs a fleet that stays up (npm start, or Azure)', false)
    .option('--no-doctor', 'do not check first whether everything is ready')
    .addHelpText('after', EXAMPLES);
  const hint = 'Usage: npm run enqueue VIDEO -- [options]. All of them: npm run enqueue -- --help';
  if (!parseCommand(command, argv, hint)) return null;
  const set = command.opts<
    SaidOfJob & {
      out?: string;
      force: boolean;
      deadline?: EnqueueOptions['deadline'];
      json: boolean;
      detach: boolean;
      doctor: boolean;
    }
  >();
  return {
    videoPath: command.args[0] ?? '',
    settings: jobSettingsOf(set),
    outputPath: set.out,
    mayReplace: set.force,
    deadline: set.deadline,
    asJson: set.json,
    isDetached: set.detach,
    looksFirst: set.doctor,
  };
}

function parseDeadline(text: string): NonNullable<EnqueueOptions['deadline']> {
  const seconds = parseDuration(text);
  if (seconds !== undefined && seconds > 0) return { afterMs: seconds * 1000 };
  const at = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}/.test(text) ? new Date(text) : new Date(NaN);
  if (Number.isNaN(at.getTime())) throw new InvalidArgumentError('Expected 2h, 90m, or 2026-12-01T18:00Z.');
  return { at: at.toISOString() };
}
