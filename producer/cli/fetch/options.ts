/** The command line of `npm run fetch`. */
import { newCommand, parseCommand } from '../../../shared/command/parse-command.ts';
import { JOB_ID_PATTERN } from '../../../shared/contract/blob-names.ts';
import { PermanentError } from '../../../shared/runtime/errors.ts';

const HINT = 'Usage: npm run fetch -- JOB [options]. All of them: npm run fetch -- --help';

const EXAMPLES = `
Examples:
  npm run fetch -- 20261123-061502-harbour-9f3a1c
  npm run fetch -- 20261123-061502-harbour-9f3a1c --out painted.mp4
  npm run --silent fetch -- 20261123-061502-harbour-9f3a1c --json

Without FRAMEFLEET_MEDIA_STORAGE it uses the local fleet of this folder (npm start), and the results that enqueue has kept.
Exit status: 0 done, 64 usage, 66 no such job, 69 the job has not finished or storage is not reachable, 70 an internal error,
73 the output cannot be written, 130 interrupted; for a failed job that of its error.`;

export interface FetchOptions {
  readonly jobId: string;
  readonly outputPath: string | undefined;
  readonly mayReplace: boolean;
  readonly asJson: boolean;
}

/** The options, or null where help was asked for and printed. Throws USAGE. */
export function parseOptions(argv: readonly string[]): FetchOptions | null {
  const command = newCommand('npm run fetch')
    .usage('-- JOB [options]')
    .description('Downloads the result of a finished job.')
    .argument('<job>', 'the id that enqueue printed')
    .option('--out <path>', 'where to put the result: a file or a folder (default: the current folder)')
    .option('--force', 'replace an existing file', false)
    .option('--json', 'print one JSON object', false)
    .addHelpText('after', EXAMPLES);
  if (!parseCommand(command, argv, HINT)) return null;
  const [jobId = ''] = command.args;
  if (!JOB_ID_PATTERN.test(jobId))
    throw new PermanentError('USAGE', `${JSON.stringify(jobId)} is not the id of a job.`, { hint: HINT });
  const set = command.opts<{ out?: string; force: boolean; json: boolean }>();
  return { jobId, outputPath: set.out, mayReplace: set.force, asJson: set.json };
}
