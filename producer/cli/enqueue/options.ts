/** Parses the command line of `npm run enqueue`. */
import { type Command, InvalidArgumentError, Option } from 'commander';

import { parseDuration } from '../../../shared/command/duration.ts';
import { helpText } from '../../../shared/command/help-text.ts';
import { newCommand, parseCommand, usageHint } from '../../../shared/command/parse-command.ts';
import { RESULT_CONTAINERS, type ResultContainer } from '../../../shared/contract/encoding.ts';
import type { JobSettings } from '../../../shared/contract/job.ts';
import { type JobOptionValues, addJobOptions, toJobSettings } from '../job-options.ts';

export interface EnqueueOptions {
  readonly videoPath: string;
  /** The path is a folder of images in the container `incoming`, or how their names start. */
  readonly isStored: boolean;
  readonly settings: JobSettings;
  /** Of the result, by the name that it gets. The settings have it only if the user asks for it. */
  readonly container: ResultContainer | undefined;
  readonly outputPath: string | undefined;
  /** Whether the result may replace an existing file. */
  readonly mayReplace: boolean;
  readonly deadline: { readonly at: string } | { readonly afterMs: number } | undefined;
  /** Whether to print an estimate before the upload, and whether to ask then. */
  readonly estimate: 'none' | 'prints' | 'asks';
  readonly asJson: boolean;
  readonly isDetached: boolean;
  /** Whether to run the doctor before the first job of a fleet. */
  readonly checksFleet: boolean;
}

const HELP = helpText({
  examples: [
    'npm run enqueue holiday.mp4',
    'npm run enqueue holiday.mp4 -- --style great-wave --out painted.mp4',
    'npm run enqueue holiday.mp4 -- --style starry-night:2,candy:1',
    'npm run enqueue photos/ -- --style candy   writes the folder photos.candy',
    'npm run --silent enqueue holiday.mp4 -- --json',
    'npm run enqueue -- -- -odd-name.mp4   a name that starts with a dash',
  ],
  notes: [
    'Without FRAMEFLEET_MEDIA_STORAGE the job runs on this machine. With it, the job runs on the fleet that uses this storage account.',
    'If the result cannot be written when the job is done, it is kept, and the command prints where it is and how to fetch it.',
  ],
  exits: {
    0: true,
    1: 'the job failed',
    64: true,
    65: true,
    66: true,
    69: true,
    70: true,
    73: true,
    130: true,
  },
});

/** Returns null if the user asked for help, which is then printed. Throws USAGE. */
export function parseEnqueueOptions(argv: readonly string[]): EnqueueOptions | null {
  const command = addJobOptions(
    newCommand('npm run enqueue')
      .usage('VIDEO -- [options]')
      .description(
        'Runs a model over every frame of a video, or over every image of a folder, and writes the result beside it.',
      )
      .argument('<video>', 'path of a video, of an image, or of a folder of images'),
  )
    .option('--out <path>', 'where to write the result: a file or a folder (default: beside the video)')
    .option('--force', 'replace an existing file')
    .option(
      '--deadline <when>',
      'when the job must be done: 2h, 90m or 2026-12-01T18:00Z; if that is at risk, the fleet prefers on-demand instances, which Azure does not evict',
      parseDeadline,
    )
    .option(
      '--stored',
      'the path is a folder in the container incoming, with images that are there already; with * at the end, how their names start',
    )
    .option('--estimate-first', 'print GPU hours, cost and time, and ask before the upload')
    .option('--yes', 'with --estimate-first: do not ask; needed with --json and without a terminal')
    .option('--json', 'print one JSON object and no progress')
    .addOption(
      new Option(
        '--detach',
        'return after the upload; needs a fleet that stays up (npm start, or Azure); npm run fetch gets the result',
      ).conflicts(['out', 'force']),
    )
    .option('--no-doctor', 'do not check that the fleet is ready before its first job')
    .addHelpText('after', HELP);
  if (!parseCommand(command, argv, hintFor(command, argv))) return null;
  const values = command.opts<
    JobOptionValues & {
      out?: string;
      force?: boolean;
      deadline?: EnqueueOptions['deadline'];
      stored?: boolean;
      estimateFirst?: boolean;
      yes?: boolean;
      json?: boolean;
      detach?: boolean;
      doctor: boolean;
    }
  >();
  return {
    videoPath: command.args[0] ?? '',
    isStored: values.stored ?? false,
    settings: toJobSettings(values),
    container: RESULT_CONTAINERS.find((format) => values.out?.toLowerCase().endsWith(`.${format}`) === true),
    outputPath: values.out,
    mayReplace: values.force ?? false,
    deadline: values.deadline,
    estimate: values.estimateFirst !== true ? 'none' : values.yes === true ? 'prints' : 'asks',
    asJson: values.json ?? false,
    isDetached: values.detach ?? false,
    checksFleet: values.doctor,
  };
}

function hintFor(command: Command, argv: readonly string[]): string {
  const name = argv.find((argument) => /^-.*\.\w+$/.test(argument));
  if (name === undefined) return usageHint(command);
  return `If ${name} is a file, put -- before its name: npm run enqueue -- -- ${name}`;
}

function parseDeadline(text: string): NonNullable<EnqueueOptions['deadline']> {
  const seconds = parseDuration(text);
  if (seconds !== undefined && seconds > 0) return { afterMs: seconds * 1000 };
  const at = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}/.test(text) ? new Date(text) : new Date(NaN);
  if (Number.isNaN(at.getTime()))
    throw new InvalidArgumentError(
      'Expected a duration such as 2h or 90m, or a date and time such as 2026-12-01T18:00Z.',
    );
  return { at: at.toISOString() };
}
