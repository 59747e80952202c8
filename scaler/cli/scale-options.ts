/** What may be said on the command line of `npm run scale`, and what it means. */
import { InvalidArgumentError } from 'commander';

import { parseDuration } from '../../shared/command/duration.ts';
import { newCommand, parseCommand } from '../../shared/command/parse-command.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import { CAPACITY_MAX, type OverrideEnd, type OverrideRequest, TTL_SECONDS } from '../override/document.ts';

export type ScaleOptions = { readonly asJson: boolean } & (
  | { readonly kind: 'show' }
  | { readonly kind: 'set'; readonly request: OverrideRequest }
  | { readonly kind: 'end'; readonly request: OverrideEnd }
);

const EXAMPLES = `
Examples:
  npm run scale -- 4 --for 30m --because "demo at ten"
  npm run scale -- --min 2 --for 8h --because "office hours"
  npm run scale -- --max 8 --for 7d --because "quota is shared this week"
  npm run scale -- --pause --for 1h --because "storage is being moved"
  npm run scale -- --end --because "demo is over"
  npm run scale                  what stands now

It survives a restart of the scaler, and ends by itself. Who and why is kept in logs/_audit/override.ndjson.
Exit status: 0 done, 64 usage, 69 the scaler is not reachable, 70 an internal error, 77 the token is not the scaler’s.`;

const HINT = 'Usage: npm run scale -- 4 --for 30m --because "why". All of it: npm run scale -- --help';

/** The options, or null where help was asked for and printed. Throws USAGE. */
export function parseScaleOptions(argv: readonly string[], author: string): ScaleOptions | null {
  const command = newCommand('npm run scale')
    .usage('[instances] -- [options]')
    .description(
      'Tells the scaler how many instances there are to be, for a while; or shows what it was told.',
    )
    .argument('[instances]', 'exactly so many, whatever there is to do', parseCapacity)
    .option('--min <instances>', 'at least so many', parseCapacity)
    .option('--max <instances>', 'at most so many', parseCapacity)
    .option('--pause', 'start nothing; who is there finishes and goes')
    .option('--end', 'take back what was asked for')
    .option('--for <duration>', 'how long: 90s, 30m, 2h, 7d (1 minute to 7 days)', parseTtl)
    .option('--because <reason>', 'why: others will read it')
    .option('--author <name>', `who (default: ${author})`)
    .option('--json', 'print one JSON object', false)
    .addHelpText('after', EXAMPLES);
  if (!parseCommand(command, argv, HINT)) return null;
  const set = command.opts<{
    min?: number;
    max?: number;
    pause?: true;
    end?: true;
    for?: number;
    because?: string;
    author?: string;
    json: boolean;
  }>();
  const fixed = command.processedArgs[0] as number | undefined;
  const wishes = [
    ...(fixed === undefined ? [] : [{ mode: 'fixed' as const, capacity: fixed }]),
    ...(set.min === undefined ? [] : [{ mode: 'min' as const, capacity: set.min }]),
    ...(set.max === undefined ? [] : [{ mode: 'max' as const, capacity: set.max }]),
    ...(set.pause === undefined ? [] : [{ mode: 'pause' as const }]),
    ...(set.end === undefined ? [] : ['end' as const]),
  ];
  const [wish] = wishes;
  if (wishes.length > 1)
    throw usage('Only one of a number, --min, --max, --pause and --end can be asked for.');
  const asJson = set.json;
  if (wish === undefined) {
    if (set.for === undefined && set.because === undefined) return { kind: 'show', asJson };
    throw usage('Nothing is asked for: expected a number of instances, --min, --max, --pause or --end.');
  }
  const reason = set.because?.trim() ?? '';
  if (reason === '') throw usage('--because is missing: others will want to know why.');
  const signature = { author: set.author ?? author, reason };
  if (wish === 'end') return { kind: 'end', request: signature, asJson };
  if (set.for === undefined) throw usage('--for is missing: an override ends by itself, and you say when.');
  return { kind: 'set', request: { ...wish, ttlSeconds: set.for, ...signature }, asJson };
}

function usage(message: string): PermanentError {
  return new PermanentError('USAGE', message, { hint: HINT });
}

function parseCapacity(text: string): number {
  const capacity = Number(text);
  if (/^\d+$/.test(text) && capacity <= CAPACITY_MAX) return capacity;
  throw new InvalidArgumentError(`Expected a whole number of instances from 0 to ${CAPACITY_MAX}.`);
}

function parseTtl(text: string): number {
  const seconds = parseDuration(text);
  if (seconds !== undefined && seconds >= TTL_SECONDS.min && seconds <= TTL_SECONDS.max) return seconds;
  throw new InvalidArgumentError('Expected a duration such as 90s, 30m or 2h, from 1 minute to 7 days.');
}
