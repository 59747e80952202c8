/** The command-line options of `npm run doctor`. */
import { InvalidArgumentError } from 'commander';

import { newCommand, parseCommand } from '../../shared/command/parse-command.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';

const USAGE = 'Usage: npm run doctor -- [options]. For all options: npm run doctor -- --help';
const MACHINES_MAX = 1000;

const EXAMPLES = `
Examples:
  npm run doctor                  check the fleet in .env, or this machine if .env names none
  npm run doctor -- --subscription ID --location eastus --size Standard_NC4as_T4_v3 --machines 10
  npm run --silent doctor -- --json

Each check prints ok, warning or error, with a hint. The command changes nothing.
Exit status: 0 no errors, 64 usage, 69 one or more errors, 70 internal error.`;

export interface DoctorOptions {
  /** A fleet that is not deployed yet; null to check the current fleet. */
  readonly planned: {
    readonly subscriptionId: string;
    readonly location: string;
    readonly size: string;
    readonly machines: number;
  } | null;
  readonly asJson: boolean;
}

/** Returns null after printing the help. Throws USAGE. */
export function parseOptions(argv: readonly string[]): DoctorOptions | null {
  const command = newCommand('npm run doctor')
    .usage('-- [options]')
    .description('Checks the prerequisites of a job and prints a hint for each problem.')
    .option('--subscription <id>', 'before a deployment: check this Azure subscription', parseId)
    .option('--location <region>', 'Azure region, such as eastus', parseName)
    .option('--size <size>', 'VM size, such as Standard_NC4as_T4_v3', parseName)
    .option('--machines <count>', 'number of VMs (default: 1)', parseMachines)
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
      'To check a planned fleet, pass --subscription, --location and --size.',
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
    'Expected a subscription ID. To print yours: az account show --query id --output tsv',
  );
}

function parseName(text: string): string {
  if (/^\w{1,64}$/.test(text)) return text;
  throw new InvalidArgumentError('Expected a short name of letters, digits and underscores.');
}

function parseMachines(text: string): number {
  const machines = Number(text);
  if (Number.isInteger(machines) && machines >= 1 && machines <= MACHINES_MAX) return machines;
  throw new InvalidArgumentError(`Expected a whole number from 1 to ${MACHINES_MAX}.`);
}
