/** The command-line options of `npm run doctor`. */
import { InvalidArgumentError } from 'commander';

import { helpText } from '../../shared/command/help-text.ts';
import { newCommand, parseCommand, usageHint } from '../../shared/command/parse-command.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';

const INSTANCES_MAX = 1000;

const HELP = helpText({
  examples: [
    'npm run doctor                  check the fleet in .env, or this machine if .env names none',
    'npm run doctor -- --subscription ID --location eastus --size Standard_NC4as_T4_v3',
    'npm run --silent doctor -- --json',
  ],
  notes: ['Each check prints ok, warning or error, with a hint. The command changes nothing.'],
  exits: { 0: 'no errors', 64: true, 69: 'one or more checks printed an error', 70: true },
});

export interface DoctorOptions {
  /** A fleet that is not deployed yet; null to check the current fleet. */
  readonly planned: {
    readonly subscriptionId: string;
    readonly location: string;
    readonly size: string;
    readonly instances: number;
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
    .option('--instances <count>', 'number of VMs (default: 1)', parseInstances)
    .option('--json', 'print one JSON object')
    .addHelpText('after', HELP);
  if (!parseCommand(command, argv)) return null;
  const { subscription, location, size, instances, json } = command.opts<{
    subscription?: string;
    location?: string;
    size?: string;
    instances?: number;
    json?: true;
  }>();
  if (subscription !== undefined && location !== undefined && size !== undefined) {
    const planned = { subscriptionId: subscription, location, size, instances: instances ?? 1 };
    return { planned, asJson: json === true };
  }
  if ([subscription, location, size, instances].some((one) => one !== undefined)) {
    throw new PermanentError(
      'USAGE',
      'To check a planned fleet, pass --subscription, --location and --size.',
      {
        hint: usageHint(command),
      },
    );
  }
  return { planned: null, asJson: json === true };
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

function parseInstances(text: string): number {
  const instances = Number(text);
  if (Number.isInteger(instances) && instances >= 1 && instances <= INSTANCES_MAX) return instances;
  throw new InvalidArgumentError(`Expected a whole number from 1 to ${INSTANCES_MAX}.`);
}
