/** Parses the command line of `npm run cap`. */
import { helpText } from '../../../shared/command/help-text.ts';
import { newCommand, parseCommand } from '../../../shared/command/parse-command.ts';
import { JOB_EXAMPLE, parseJobId } from '../job-argument.ts';
import { parseAmount } from '../job-options.ts';

const HELP = helpText({
  examples: [
    `npm run cap -- ${JOB_EXAMPLE} 5      it may cost 5 in all, including what it has spent`,
    `npm run cap -- ${JOB_EXAMPLE} none   it has no cap`,
  ],
  notes: [
    'A job that has spent its cap is held: no more of its batches are sent to the fleet. With a higher cap it continues within half a minute.',
  ],
  exits: { 0: true, 1: 'the job has ended', 64: true, 66: 'the job does not exist', 69: true, 70: true },
});

export interface CapOptions {
  readonly jobId: string;
  /** Null: no cap. */
  readonly spendingMax: number | null;
  readonly asJson: boolean;
}

/** Returns null if the user asked for help, which is then printed. Throws USAGE. */
export function parseCapOptions(argv: readonly string[]): CapOptions | null {
  let options: CapOptions | undefined;
  const program = newCommand('npm run cap')
    .usage('-- JOB AMOUNT|none [options]')
    .description('Changes the spending cap of a job, in the currency of the fleet’s prices.')
    .argument('<job>', 'job id, as printed by npm run enqueue', parseJobId)
    .argument('<amount>', 'what the job may cost in all, or none for no cap', parseCap)
    .option('--json', 'print one JSON object')
    .addHelpText('after', HELP)
    .action(
      (
        jobId: string,
        { spendingMax }: { spendingMax: number | null },
        { json = false }: { json?: boolean },
      ) => {
        options = { jobId, spendingMax, asJson: json };
      },
    );
  if (!parseCommand(program, argv)) return null;
  return options ?? null;
}

function parseCap(text: string): { spendingMax: number | null } {
  return { spendingMax: text === 'none' ? null : parseAmount(text) };
}
