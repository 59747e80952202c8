/**
 * The override: a fleet size that an operator sets for a limited time in place of the scaler's decision. PURE.
 *
 *   fixed     exactly this many instances, regardless of backlog and schedule
 *   min       at least this many
 *   max       at most this many
 *   pause     no instance starts; running instances finish their work and are removed
 *   schedule  another schedule in place of the scaler's own
 *
 * Every override has an author, a reason and an end. Without an end, a forgotten override would cost money indefinitely.
 */
import { z } from 'zod';

import { parseJson } from '../../shared/contract/parse-json.ts';
import { type ScheduleWindow, scheduleSetting, scheduleText } from '../schedule.ts';

export const OVERRIDE_MODES = ['fixed', 'min', 'max', 'pause', 'schedule'] as const;
/** A boot takes longer than the minimum. A need for longer than a week belongs in the configuration. */
export const TTL_SECONDS = { min: 60, max: 7 * 24 * 3600 } as const;
const REASON_CHARACTERS_MAX = 200;
const AUTHOR_CHARACTERS_MAX = 100;
export const CAPACITY_MAX = 1000;

export interface Override {
  readonly mode: (typeof OVERRIDE_MODES)[number];
  /** In instances; null for `pause` and `schedule`. */
  readonly capacity: number | null;
  /** Null for every mode but `schedule`. Without a window, no minimum applies but that of the configuration. */
  readonly schedule: readonly ScheduleWindow[] | null;
  readonly reason: string;
  readonly author: string;
  readonly setAt: Date;
  readonly expiresAt: Date;
}

/** One line of text without control characters, safe to print. */
const line = (charactersMax: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(charactersMax)
    .refine((text) => !/\p{Cc}/u.test(text) && text.isWellFormed(), { error: 'expected one line of text' });

const signature = { author: line(AUTHOR_CHARACTERS_MAX), reason: line(REASON_CHARACTERS_MAX) };
const capacity = z.int().min(0).max(CAPACITY_MAX);
const ttlSeconds = z.int().min(TTL_SECONDS.min).max(TTL_SECONDS.max);

/** The body of `PUT /override`. */
export const overrideRequest = z.discriminatedUnion('mode', [
  z.strictObject({
    mode: z.enum(['fixed', 'min', 'max']),
    capacity,
    ttlSeconds,
    ...signature,
  }),
  z.strictObject({
    mode: z.literal('pause'),
    capacity: z.null().optional(),
    ttlSeconds,
    ...signature,
  }),
  z.strictObject({
    mode: z.literal('schedule'),
    schedule: scheduleSetting,
    ttlSeconds,
    ...signature,
  }),
]);
export type OverrideRequest = z.output<typeof overrideRequest>;
/** As a caller sends it: the schedule is text. */
export type OverrideBody = z.input<typeof overrideRequest>;

/** The body of `DELETE /override`. */
export const overrideEnd = z.strictObject(signature);
export type OverrideEnd = z.infer<typeof overrideEnd>;

const instant = z.iso.datetime().transform((text) => new Date(text));

/** The blob. */
const overrideDocument = z.object({
  version: z.literal(1),
  mode: z.enum(OVERRIDE_MODES),
  capacity: capacity.nullable(),
  /** Absent in the blobs of earlier releases. */
  schedule: scheduleSetting.nullable().default(null),
  ...signature,
  setAt: instant,
  expiresAt: instant,
});

export function overrideFrom(request: OverrideRequest, now: Date): Override {
  const { mode, reason, author } = request;
  return {
    mode,
    capacity: ('capacity' in request ? request.capacity : null) ?? null,
    schedule: 'schedule' in request ? request.schedule : null,
    reason,
    author,
    setAt: now,
    expiresAt: new Date(now.getTime() + request.ttlSeconds * 1000),
  };
}

export function encodeOverride(override: Override): string {
  return JSON.stringify({ version: 1, ...override, schedule: textOrNull(override) });
}

/** Undefined where the text is not a valid override. */
export function decodeOverride(text: string): Override | undefined {
  const parsed = overrideDocument.safeParse(parseJson(text));
  if (!parsed.success) return undefined;
  const { version: _, ...override } = parsed.data;
  const needsSchedule = override.mode === 'schedule';
  const needsCapacity = override.mode !== 'pause' && !needsSchedule;
  const isWhole =
    (override.capacity !== null) === needsCapacity && (override.schedule !== null) === needsSchedule;
  return isWhole ? override : undefined;
}

export function isExpired({ expiresAt }: Pick<Override, 'expiresAt'>, now: Date): boolean {
  return expiresAt.getTime() <= now.getTime();
}

/** Such as `exactly 4 instances`. */
export function describeOverride(override: Pick<Override, 'mode' | 'capacity' | 'schedule'>): string {
  const { mode, capacity: wanted } = override;
  const instances = `${wanted} instance${wanted === 1 ? '' : 's'}`;
  switch (mode) {
    case 'fixed':
      return `exactly ${instances}`;
    case 'min':
      return `at least ${instances}`;
    case 'max':
      return `at most ${instances}`;
    case 'pause':
      return 'paused: no instance starts, and running instances finish their work and are removed';
    case 'schedule':
      return override.schedule?.length === 0
        ? 'no window of the schedule opens'
        : `this schedule in place of the scaler's own: ${textOrNull(override)}`;
  }
}

function textOrNull({ schedule }: Pick<Override, 'schedule'>): string | null {
  return schedule && scheduleText(schedule);
}

/** The override as the API returns it, with `meaning` in words. */
export function overrideJson(override: Override | null | 'unknown') {
  if (override === null || override === 'unknown') return override;
  return {
    ...override,
    schedule: textOrNull(override),
    setAt: override.setAt.toISOString(),
    expiresAt: override.expiresAt.toISOString(),
    meaning: describeOverride(override),
  };
}
