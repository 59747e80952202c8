/** The command line of `npm run estimate`. */
import { InvalidArgumentError } from 'commander';

import { helpText } from '../../../shared/command/help-text.ts';
import { newCommand, parseCommand } from '../../../shared/command/parse-command.ts';
import type { JobSettings } from '../../../shared/contract/job.ts';
import { type JobOptionValues, addJobOptions, toJobSettings } from '../job-options.ts';

export interface EstimateOptions {
  readonly sourcePath: string;
  /** The path is a folder of images in the container `incoming`, or how their names start. */
  readonly isStored: boolean;
  readonly settings: JobSettings;
  readonly machines: readonly number[];
  readonly asJson: boolean;
}

const MACHINES_MAX = 1000;
const COUNTS_MAX = 20;

const HELP = helpText({
  examples: [
    'npm run estimate holiday.mp4',
    'npm run estimate holiday.mp4 -- --model mosaic --machines 1,4,20',
    'npm run estimate photos/',
    'npm run --silent estimate holiday.mp4 -- --json',
  ],
  notes: [
    'Uploads nothing and starts no fleet. The rates, the boot time and the prices are those that the fleet has measured and published in its storage. Where no fleet runs, they are those of the last job on this machine. The rate of a model is that of its recent jobs, whatever codec and preset they had.',
    'GPU hours are hours of machines: with a batch (work), while they boot, and idle, with the idle window after the job. COST is that of the machines, without storage, and needs FRAMEFLEET_PRICES in the settings of the scaler.',
  ],
  exits: { 0: true, 64: true, 65: true, 66: true, 69: true, 70: true, 130: true },
});

/** Returns null if the user asked for help, which is then printed. Throws USAGE. */
export function parseEstimateOptions(argv: readonly string[]): EstimateOptions | null {
  const command = addJobOptions(
    newCommand('npm run estimate')
      .usage('VIDEO -- [options]')
      .description('Prints the GPU hours, the cost and the time of a job before anything is uploaded.')
      .argument('<video>', 'path of a video, of an image, or of a folder of images'),
  )
    .option(
      '--machines <counts>',
      'numbers of machines, such as 1,4,20 (default: as many as the fleet starts by itself)',
      parseMachines,
    )
    .option('--stored', 'the path is a folder in the container incoming, with images that are there already')
    .option('--json', 'print one JSON object')
    .addHelpText('after', HELP);
  if (!parseCommand(command, argv)) return null;
  const values = command.opts<
    JobOptionValues & { machines?: readonly number[]; stored?: boolean; json?: boolean }
  >();
  return {
    sourcePath: command.args[0] ?? '',
    isStored: values.stored ?? false,
    settings: toJobSettings(values),
    machines: values.machines ?? [],
    asJson: values.json ?? false,
  };
}

function parseMachines(text: string): readonly number[] {
  const counts = text.split(',').map((count) => (/^ *\d+ *$/.test(count) ? Number(count) : 0));
  const isValid = counts.length <= COUNTS_MAX && counts.every((count) => count >= 1 && count <= MACHINES_MAX);
  if (isValid) return [...new Set(counts)].toSorted((a, b) => a - b);
  throw new InvalidArgumentError(
    `Expected up to ${COUNTS_MAX} numbers from 1 to ${MACHINES_MAX}, such as 1,4,20.`,
  );
}
