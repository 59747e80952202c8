/** What may be said on the command line of `npm run doctor`, and what it means. */
import { InvalidArgumentError } from 'commander';

import { newCommand, parseCommand } from '../../shared/command/parse-command.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';

const USAGE = 'Usage: npm run doctor -- [options]. All of them: npm run doctor -- --help';
const MACHINES_MAX = 1000;

const EXAMPLES = `
Examples:
  npm run doctor                  the fleet of .env, else what the local fleet takes
  npm run doctor -- --subscription ID --location eastus --size Standard_NC4as_T4_v3 --machines 10
  npm run --silent doctor -- --json

Each line is right, a warning or wrong, with what to do. Nothing is changed.
Exit status: 0 nothing is wrong, 64 usage, 69 something is wrong, 70 an internal error.`;

export interface DoctorOptions {
  /** A fleet that is to be made; null: the one there is. */
  readonly planned: {
    readonly subscriptionId: string;
    readonly location: string;
    readonly size: string;
    readonly machines: number;
  } | null;
  readonly asJson: boolean;
}

/** The options, or null where help was asked for and printed. Throws USAGE. */
export function parseOptions(argv: readonly string[]): DoctorOptions | null {
  const command = newCommand('npm run doctor')
    .usage('-- [options]')
    .description('Looks whether everything is there that a job needs, and says what to do where it is not.')
    .option(
      '--subscription <id>',
      'before a deployment: whether this Azure subscription could have a fleet',
      parseId,
    )
    .option('--location <region>', 'in this region, such as eastus', parseName)
    .option('--size <size>', 'of this size, such as Standard_NC4as_T4_v3', parseName)
    .option('--machines <count>', 'so many of them (default: 1)', parseMachines)
    .option('--json', 'print one JSON object', false)
    .addHelpText('after', EXAMPLES);
  if (!parseCommand(command, argv, USAGE)) return null;
  const { subscription, location, size, machines, json } = command.opts<{
    subscription?: string;
    location?: string;
    size?: string;
    machines?: number;
    json: boolean;
  }>();
  if (subscription !== undefined && location !== undefined && size !== undefined) {
    const planned = { subscriptionId: subscription, location, size, machines: machines ?? 1 };
    return { planned, asJson: json };
  }
  if ([subscription, location, size, machines].some((one) => one !== undefined)) {
    throw new PermanentError(
      'USAGE',
      'A fleet that is to be made has a --subscription, a --location and a --size.',
      {
        hint: USAGE,
      },
    );
  }
  return { planned: null, asJson: json };
}

function parseId(text: string): string {
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) return text;
  throw new InvalidArgumentError(
    'Expected the id of a subscription: az account show --query id --output tsv',
  );
}

function parseName(text: string): string {
  if (/^\w{1,64}$/.test(text)) return text;
  throw new InvalidArgumentError('Expected a short name of letters, digits and underscores.');
}

function parseMachines(text: string): number {
  const machines = Number(text);
  if (Number.isInteger(machines) && machines >= 1 && machines <= MACHINES_MAX) return machines;
  throw new InvalidArgumentError(`Expected a whole number of machines from 1 to ${MACHINES_MAX}.`);
}
