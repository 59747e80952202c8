/** Parses the command line of `npm run fetch`. */
import { helpText } from '../../../shared/command/help-text.ts';
import { newCommand, parseCommand } from '../../../shared/command/parse-command.ts';
import { JOB_EXAMPLE, parseJobId } from '../job-argument.ts';

const HELP = helpText({
  examples: [
    `npm run fetch -- ${JOB_EXAMPLE}`,
    `npm run fetch -- ${JOB_EXAMPLE} --out painted.mp4`,
    `npm run --silent fetch -- ${JOB_EXAMPLE} --json`,
  ],
  notes: [
    'Without FRAMEFLEET_MEDIA_STORAGE it uses the local fleet of this folder (npm start). Results that npm run enqueue has kept on this machine need no fleet.',
    'For a failed job, the command prints the error of the job and exits with its status.',
  ],
  exits: {
    0: true,
    1: 'too many frames of the job failed',
    64: true,
    65: 'the job failed: its input is not valid',
    66: 'the job does not exist',
    69: 'the job has not finished, or storage is not available',
    70: true,
    73: true,
    130: true,
  },
});

export interface FetchOptions {
  readonly jobId: string;
  readonly outputPath: string | undefined;
  readonly mayReplace: boolean;
  readonly asJson: boolean;
}

/** Returns null if the user asked for help, which is then printed. Throws USAGE. */
export function parseFetchOptions(argv: readonly string[]): FetchOptions | null {
  const command = newCommand('npm run fetch')
    .usage('-- JOB [options]')
    .description('Downloads the result of a finished job.')
    .argument('<job>', 'job id, as printed by npm run enqueue', parseJobId)
    .option('--out <path>', 'where to write the result: a file or a folder (default: the current folder)')
    .option('--force', 'replace an existing file')
    .option('--json', 'print one JSON object')
    .addHelpText('after', HELP);
  if (!parseCommand(command, argv)) return null;
  const [jobId = ''] = command.args;
  const {
    out,
    force = false,
    json = false,
  } = command.opts<{ out?: string; force?: boolean; json?: boolean }>();
  return { jobId, outputPath: out, mayReplace: force, asJson: json };
}
