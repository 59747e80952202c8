/** The command line of `npm run fetch`. */
import { newCommand, parseCommand } from '../../shared/command/parse-command.ts';

export interface FetchOptions {
  readonly jobId: string;
  readonly outputPath: string | undefined;
  readonly mayOverwrite: boolean;
  readonly asJson: boolean;
}

const HELP = `
Examples:
  npm run fetch 20261123-061502-harbour-9f3a1c
  npm run fetch 20261123-061502-harbour-9f3a1c -- --out painted.mp4 --force

Exit status: 0 done, 1 the job is not completed, 64 usage, 66 no such job, 69 something needed is not reachable, 73 the output
cannot be written, 130 interrupted. A failed job: the status of its own error.`;

/** The options, or null where help was asked for and printed. Throws USAGE. */
export function parseFetchOptions(argv: readonly string[]): FetchOptions | null {
  const command = newCommand('npm run fetch')
    .usage('JOB -- [options]')
    .description('Downloads the result of a completed job.')
    .argument('<job>', 'the id of the job')
    .option('--out <path>', 'where to put the result: a file or a folder (default: the folder you are in)')
    .option('--force', 'overwrite a file that exists already', false)
    .option('--json', 'print one JSON object', false)
    .addHelpText('after', HELP);
  const hint = 'Usage: npm run fetch JOB -- [options]. All of them: npm run fetch -- --help';
  if (!parseCommand(command, argv, hint)) return null;
  const set = command.opts<{ out?: string; force: boolean; json: boolean }>();
  return {
    jobId: command.args[0] ?? '',
    outputPath: set.out,
    mayOverwrite: set.force,
    asJson: set.json,
  };
}
