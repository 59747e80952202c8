/** Parses the command line of `npm run scale`. */
import { InvalidArgumentError } from 'commander';

import { parseDuration } from '../../shared/command/duration.ts';
import { helpText } from '../../shared/command/help-text.ts';
import { newCommand, parseCommand, usageHint } from '../../shared/command/parse-command.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import { CAPACITY_MAX, type OverrideBody, type OverrideEnd, TTL_SECONDS } from '../override/document.ts';
import { SCHEDULE_EXAMPLE, scheduleSetting } from '../schedule.ts';

export type ScaleOptions = { readonly asJson: boolean } & (
  | { readonly kind: 'show' }
  | { readonly kind: 'set'; readonly request: OverrideBody }
  | { readonly kind: 'end'; readonly request: OverrideEnd }
);

const HELP = helpText({
  examples: [
    'npm run scale -- 4 --for 30m --because "demo at ten"',
    'npm run scale -- --min 2 --for 8h --because "office hours"',
    'npm run scale -- --max 8 --for 7d --because "quota is shared this week"',
    'npm run scale -- --pause --for 1h --because "storage is being moved"',
    `npm run scale -- --schedule "${SCHEDULE_EXAMPLE}" --for 7d --because "trade fair"`,
    'npm run scale -- --schedule none --for 7d --because "holidays"',
    'npm run scale -- --end --because "demo is over"',
    'npm run scale                  show the current override',
  ],
  notes: [
    'A window of --schedule is a cron expression for its start (minute, hour, day of month, month, day of week), a duration, a time zone and a minimum. Separate windows by semicolons.',
    'An override survives a restart of the scaler and ends by itself. Each change is recorded with its author and reason in logs/_audit/override.ndjson.',
  ],
  exits: { 0: true, 64: true, 69: 'cannot reach the scaler', 70: true, 77: 'the token is missing or wrong' },
});

/** Returns the options, or null after printing the help. Throws USAGE. */
export function parseScaleOptions(argv: readonly string[], author: string): ScaleOptions | null {
  const command = newCommand('npm run scale')
    .usage('-- [instances] [options]')
    .description('Overrides the size of the fleet for a limited time, or shows the current override.')
    .argument('[instances]', 'exactly this many, whatever the backlog', parseCapacity)
    .option('--min <instances>', 'at least this many', parseCapacity)
    .option('--max <instances>', 'at most this many', parseCapacity)
    .option('--pause', 'start no instances; running ones finish their work and are removed')
    .option(
      '--schedule <windows>',
      "windows with a minimum of instances, in place of the scaler's schedule; none for no window",
      parseSchedule,
    )
    .option('--end', 'end the current override')
    .option('--for <duration>', 'how long it applies: 90s, 30m, 2h or 7d (1 minute to 7 days)', parseTtl)
    .option('--because <reason>', 'the reason, recorded and shown to other operators')
    .option('--author <name>', `author of the change (default: ${author})`)
    .option('--json', 'print one JSON object')
    .addHelpText('after', HELP);
  if (!parseCommand(command, argv)) return null;
  const usage = (message: string) => new PermanentError('USAGE', message, { hint: usageHint(command) });
  const set = command.opts<{
    min?: number;
    max?: number;
    pause?: true;
    schedule?: string;
    end?: true;
    for?: number;
    because?: string;
    author?: string;
    json?: true;
  }>();
  const fixed = command.processedArgs[0] as number | undefined;
  const changes = [
    ...(fixed === undefined ? [] : [{ mode: 'fixed' as const, capacity: fixed }]),
    ...(set.min === undefined ? [] : [{ mode: 'min' as const, capacity: set.min }]),
    ...(set.max === undefined ? [] : [{ mode: 'max' as const, capacity: set.max }]),
    ...(set.pause === undefined ? [] : [{ mode: 'pause' as const }]),
    ...(set.schedule === undefined ? [] : [{ mode: 'schedule' as const, schedule: set.schedule }]),
    ...(set.end === undefined ? [] : ['end' as const]),
  ];
  const [change] = changes;
  if (changes.length > 1)
    throw usage(
      'Conflicting options: use only one of a number, --min, --max, --pause, --schedule and --end.',
    );
  const asJson = set.json === true;
  if (change === undefined) {
    if (set.for === undefined && set.because === undefined) return { kind: 'show', asJson };
    throw usage(
      'No action given: expected a number of instances, --min, --max, --pause, --schedule or --end.',
    );
  }
  const reason = set.because?.trim() ?? '';
  const signature = { author: set.author ?? author, reason };
  const missing = [
    ...(set.for === undefined && change !== 'end' ? ['--for DURATION, after which the override ends'] : []),
    ...(reason === '' ? ['--because REASON, which is recorded'] : []),
  ];
  if (missing.length > 0) throw usage(`Missing: ${missing.join('; and ')}.`);
  if (change === 'end' || set.for === undefined) return { kind: 'end', request: signature, asJson };
  return { kind: 'set', request: { ...change, ttlSeconds: set.for, ...signature }, asJson };
}

function parseCapacity(text: string): number {
  const capacity = Number(text);
  if (/^\d+$/.test(text) && capacity <= CAPACITY_MAX) return capacity;
  throw new InvalidArgumentError(`Expected a whole number of instances from 0 to ${CAPACITY_MAX}.`);
}

function parseSchedule(text: string): string {
  const { error } = scheduleSetting.safeParse(text);
  if (error === undefined) return text;
  const faults = error.issues.map(({ message }) => message).join('; ');
  throw new InvalidArgumentError(`${faults.charAt(0).toUpperCase()}${faults.slice(1)}.`);
}

function parseTtl(text: string): number {
  const seconds = parseDuration(text);
  if (seconds !== undefined && seconds >= TTL_SECONDS.min && seconds <= TTL_SECONDS.max) return seconds;
  throw new InvalidArgumentError('Expected a duration such as 90s, 30m or 2h, from 1 minute to 7 days.');
}
