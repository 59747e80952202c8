/** What may be said on the command line of `npm run explain`, and what it means. */
import { InvalidArgumentError } from 'commander';

import { newCommand, parseCommand } from '../../shared/command/parse-command.ts';
import { whatIfQuery } from '../api/explain/what-if.ts';

export interface ExplainOptions {
  /** By name, as the scaler's query has them. */
  readonly whatIf: Readonly<Record<string, string>>;
  readonly asJson: boolean;
}

const NAMES = Object.keys(whatIfQuery.shape);

const EXAMPLES = `
Examples:
  npm run explain
  npm run explain -- --what-if backlog=100000
  npm run explain -- --what-if backlog=100000 --what-if megapixelsPerFrame=8.3 --what-if capacityMax=40

What may be supposed: ${NAMES.join(', ')}. Nothing is changed by it.
Exit status: 0 done, 64 usage, 69 the scaler is not reachable, 70 an internal error, 77 the token is not the scaler’s.`;

/** The options, or null where help was asked for and printed. Throws USAGE. */
export function parseExplainOptions(argv: readonly string[]): ExplainOptions | null {
  const command = newCommand('npm run explain')
    .usage('-- [options]')
    .description('Says why the fleet is the size it is, what is in the way, and what comes next.')
    .option('--what-if <name=value>', 'suppose that it were so; may be said several times', parseSupposed, {})
    .option('--json', 'print one JSON object', false)
    .addHelpText('after', EXAMPLES);
  if (!parseCommand(command, argv, 'All of it: npm run explain -- --help')) return null;
  const { whatIf, json } = command.opts<{ whatIf: Record<string, string>; json: boolean }>();
  return { whatIf, asJson: json };
}

function parseSupposed(text: string, before: Readonly<Record<string, string>>): Record<string, string> {
  const [name = '', ...rest] = text.split('=');
  const value = rest.join('=');
  if (!NAMES.includes(name) || value === '') {
    throw new InvalidArgumentError(`Expected one of ${NAMES.join(', ')}, as in backlog=100000.`);
  }
  return { ...before, [name]: value };
}
