/** Parses the command line of `npm run explain`. */
import { InvalidArgumentError } from 'commander';

import { helpText } from '../../shared/command/help-text.ts';
import { newCommand, parseCommand } from '../../shared/command/parse-command.ts';
import { whatIfQuery } from '../api/explain/what-if.ts';

export interface ExplainOptions {
  /** Values by name, as in the query of `GET /explain`. */
  readonly whatIf: Readonly<Record<string, string>>;
  readonly asJson: boolean;
}

const NAMES = Object.keys(whatIfQuery.shape);

const HELP = helpText({
  examples: [
    'npm run explain',
    'npm run explain -- --what-if backlog=100000',
    'npm run explain -- --what-if backlog=100000 --what-if capacityMax=40',
    'npm run explain -- --what-if at=2026-12-01T08:00:00Z',
  ],
  notes: [
    `Names for --what-if: ${NAMES.join(', ')}.`,
    '--what-if changes nothing: it only shows what the scaler would decide.',
  ],
  exits: { 0: true, 64: true, 69: 'cannot reach the scaler', 70: true, 77: 'the token is missing or wrong' },
});

/** Returns the options, or null after printing the help. Throws USAGE. */
export function parseExplainOptions(argv: readonly string[]): ExplainOptions | null {
  const command = newCommand('npm run explain')
    .usage('-- [options]')
    .description('Shows why the fleet has its current size, what blocks it, and what comes next.')
    .option('--what-if <name=value>', 'explain a supposed situation; repeat for several values', parseWhatIf)
    .option('--json', 'print one JSON object')
    .addHelpText('after', HELP);
  if (!parseCommand(command, argv)) return null;
  const { whatIf = {}, json } = command.opts<{ whatIf?: Record<string, string>; json?: true }>();
  return { whatIf, asJson: json === true };
}

function parseWhatIf(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [name = '', ...rest] = text.split('=');
  const value = rest.join('=');
  if (!NAMES.includes(name) || value === '') {
    throw new InvalidArgumentError(
      `Expected NAME=VALUE, such as backlog=100000. Names: ${NAMES.join(', ')}.`,
    );
  }
  return { ...before, [name]: value };
}
