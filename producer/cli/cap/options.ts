/** The command line of `npm run cap`, and what it means. */
import { InvalidArgumentError } from 'commander';

import { newCommand, parseCommand } from '../../../shared/command/parse-command.ts';
import { JOB_ID_PATTERN } from '../../../shared/contract/blob-names.ts';
import { parseAmount } from '../job-options.ts';

const USAGE = 'Usage: npm run cap -- JOB AMOUNT|none [options]. Help: npm run cap -- --help';

const HELP = `
Examples:
  npm run cap -- 20261123-061502-harbour-9f3a1c 5      it may cost 5 in all, what it has spent included
  npm run cap -- 20261123-061502-harbour-9f3a1c none   no cap

A job that has spent its cap is held: nothing more of it is sent to the fleet. A higher cap lets it go on within half a minute.
Exit status: 0 done, 1 the job has ended, 64 usage, 66 no such job, 69 storage is not reachable, 70 an internal error.`;

export interface CapOptions {
  readonly jobId: string;
  /** Null: no cap. */
  readonly spendingMax: number | null;
  readonly asJson: boolean;
}

/** The options, or null where help was asked for and printed. Throws USAGE. */
export function parseOptions(argv: readonly string[]): CapOptions | null {
  let options: CapOptions | undefined;
  const program = newCommand('npm run cap')
    .usage('-- JOB AMOUNT|none [options]')
    .description('Sets what a job may cost, in the currency of the fleet’s prices.')
    .argument('<job>', 'the job’s id, as npm run enqueue prints it', parseJob)
    .argument('<amount>', 'what it may cost in all, or none for no cap', parseCap)
    .option('--json', 'print one JSON object', false)
    .addHelpText('after', HELP)
    .action((jobId: string, { spendingMax }: { spendingMax: number | null }, { json }: { json: boolean }) => {
      options = { jobId, spendingMax, asJson: json };
    });
  if (!parseCommand(program, argv, USAGE)) return null;
  return options ?? null;
}

function parseJob(text: string): string {
  if (JOB_ID_PATTERN.test(text)) return text;
  throw new InvalidArgumentError('Expected a job id such as 20261123-061502-harbour-9f3a1c.');
}

function parseCap(text: string): { spendingMax: number | null } {
  return { spendingMax: text === 'none' ? null : parseAmount(text) };
}
