/** What may be said on the command line of `npm run share`, and what it means. */
import { type Command, InvalidArgumentError } from 'commander';

import { parseDuration } from '../../../shared/command/duration.ts';
import { newCommand, parseCommand } from '../../../shared/command/parse-command.ts';
import type { JobSettings } from '../../../shared/contract/job.ts';
import { PARTNER_PATTERN } from '../../../shared/contract/share.ts';
import { type SaidOfJob, addJobOptions, jobSettingsOf, saysOfJob } from '../job-options.ts';

const USAGE = 'Usage: npm run share -- open|list|close [options]. All of them: npm run share -- --help';

/** Azure signs for seven days at most. */
const TTL_SECONDS = { min: 3600, max: 7 * 86_400 };

const EXAMPLES = `
Examples:
  npm run share -- open acme --style great-wave --priority low --max-cost 20
  npm run share -- open acme                       a new address, on the same terms
  npm run share -- list
  npm run share -- close acme

Whoever has the address can put files there until it expires, and do nothing else: not even look. Each file that is a video becomes a
job with these settings; its results are yours to send.
Exit status: 0 done, 1 something is still waiting there, 64 usage, 65 no such model or style, 66 nothing is shared with that
partner, 69 storage is not reachable, 70 an internal error.`;

export type ShareOptions = { readonly asJson: boolean } & (
  | {
      readonly verb: 'open';
      readonly partner: string;
      readonly ttlMs: number;
      /** Null where nothing was said of it: as it was agreed before, or the defaults. */
      readonly settings: JobSettings | null;
    }
  | { readonly verb: 'list' }
  | { readonly verb: 'close'; readonly partner: string; readonly discards: boolean }
);

/** The options, or null where help was asked for and printed. Throws USAGE. */
export function parseOptions(argv: readonly string[]): ShareOptions | null {
  let options: ShareOptions | undefined;
  const program = newCommand('npm run share')
    .usage('-- open|list|close [options]')
    .description('Lets a partner send videos, and nothing else.')
    .addHelpText('after', EXAMPLES);

  addJobOptions(
    program
      .command('open')
      .description('a container and an address that can write there')
      .argument('<partner>', 'a short name: lower case, digits, dashes', parsePartner)
      .option(
        '--for <duration>',
        'how long the address works: 12h, 7d (1 hour to 7 days)',
        parseTtl,
        TTL_SECONDS.max,
      ),
  )
    .option('--json', 'print one JSON object', false)
    .action((partner: string, said: SaidOfJob & { for: number; json: boolean }, command: Command) => {
      const settings = saysOfJob(command) ? jobSettingsOf(said) : null;
      options = { verb: 'open', partner, ttlMs: said.for * 1000, settings, asJson: said.json };
    });
  program
    .command('list')
    .description('a line for each partner')
    .option('--json', 'print one JSON object', false)
    .action(({ json }: { json: boolean }) => {
      options = { verb: 'list', asJson: json };
    });
  program
    .command('close')
    .description('takes the container away: every address of it stops working')
    .argument('<partner>', 'as list gives it', parsePartner)
    .option('--discard', 'with what is still waiting there', false)
    .option('--json', 'print one JSON object', false)
    .action((partner: string, { discard, json }: { discard: boolean; json: boolean }) => {
      options = { verb: 'close', partner, discards: discard, asJson: json };
    });

  if (!parseCommand(program, argv, USAGE)) return null;
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
