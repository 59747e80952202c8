/** Parses the command line of `npm run share`. */
import { type Command, InvalidArgumentError, Option } from 'commander';

import { parseDuration } from '../../../shared/command/duration.ts';
import { helpText } from '../../../shared/command/help-text.ts';
import { newCommand, parseCommand } from '../../../shared/command/parse-command.ts';
import type { JobSettings } from '../../../shared/contract/job.ts';
import { PARTNER_PATTERN } from '../../../shared/contract/share.ts';
import { type JobOptionValues, addJobOptions, hasJobOptions, toJobSettings } from '../job-options.ts';

/** Azure signs addresses for seven days at most. */
const TTL_SECONDS = { min: 3600, max: 7 * 86_400 };

const HELP = helpText({
  examples: [
    'npm run share -- open acme --style great-wave --priority low --max-cost 20',
    'npm run share -- open acme   a new address with the same settings',
    'npm run share -- list',
    'npm run share -- close acme',
  ],
  notes: [
    'The address is a secret: anyone who has it can upload files until it expires, but cannot read, list or delete them. Each video becomes a job with the settings of the share. You deliver the results.',
    'Without FRAMEFLEET_MEDIA_STORAGE and FRAMEFLEET_SYSTEM_STORAGE it uses the local fleet of this folder (npm start).',
  ],
  exits: {
    0: true,
    1: 'files are still waiting in the share',
    64: true,
    65: 'the model or its style does not exist',
    66: 'no share exists for this partner',
    69: true,
    70: true,
  },
});

export type ShareOptions = { readonly asJson: boolean } & (
  | {
      readonly verb: 'open';
      readonly partner: string;
      readonly ttlMs: number;
      /** Null if no job option was typed: the settings agreed before, or the defaults. */
      readonly settings: JobSettings | null;
    }
  | { readonly verb: 'list' }
  | { readonly verb: 'close'; readonly partner: string; readonly discards: boolean }
);

/** Returns null if the user asked for help, which is then printed. Throws USAGE. */
export function parseShareOptions(argv: readonly string[]): ShareOptions | null {
  let options: ShareOptions | undefined;
  const program = newCommand('npm run share')
    .usage('-- open|list|close [options]')
    .description('Gives partners an address to upload videos to.')
    .commandsGroup('Actions:')
    .helpCommand('help [action]', 'print the help of an action')
    .addHelpText('after', HELP);

  addJobOptions(
    program
      .command('open')
      .description('create a container and print an address to upload to')
      .argument('<partner>', 'short name: lower-case letters, digits and single dashes', parsePartner)
      .addOption(
        new Option('--for <duration>', 'how long the address works: 12h, 7d (1 hour to 7 days)')
          .argParser(parseTtl)
          .default(TTL_SECONDS.max, '7d'),
      ),
  )
    .option('--json', 'print one JSON object')
    .action(
      (partner: string, values: JobOptionValues & { for: number; json?: boolean }, command: Command) => {
        const settings = hasJobOptions(command) ? toJobSettings(values) : null;
        options = { verb: 'open', partner, ttlMs: values.for * 1000, settings, asJson: values.json ?? false };
      },
    );
  program
    .command('list')
    .description('list the shares, one on each line')
    .option('--json', 'print one JSON object')
    .action(({ json = false }: { json?: boolean }) => {
      options = { verb: 'list', asJson: json };
    });
  program
    .command('close')
    .description('remove the container, so that none of its addresses works any more')
    .argument('<partner>', 'partner, as printed by list', parsePartner)
    .option('--discard', 'delete the files that are still waiting in the share')
    .option('--json', 'print one JSON object')
    .action((partner: string, { discard = false, json = false }: { discard?: boolean; json?: boolean }) => {
      options = { verb: 'close', partner, discards: discard, asJson: json };
    });

  if (!parseCommand(program, argv)) return null;
  return options ?? null;
}

function parsePartner(text: string): string {
  if (PARTNER_PATTERN.test(text)) return text;
  throw new InvalidArgumentError(
    'Expected 2 to 40 lower-case letters, digits and single dashes, such as acme.',
  );
}

function parseTtl(text: string): number {
  const seconds = parseDuration(text);
  if (seconds !== undefined && seconds >= TTL_SECONDS.min && seconds <= TTL_SECONDS.max) return seconds;
  throw new InvalidArgumentError('Expected a duration such as 12h or 3d, from 1 hour to 7 days.');
}
