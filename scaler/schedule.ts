/**
 * The schedule: windows of time in which a minimum number of instances stands ready, regardless of the backlog. PURE: the text that operators
 * write, and what it asks for at an instant. The only file that imports croner.
 *
 *   0 8 * * 1-5 for 10h in Europe/Berlin at least 2; 0 22 * * * for 4h in UTC at least 1
 *
 * A window opens at each match of its cron expression (minute, hour, day of month, month, day of week) in its time zone, and stays open
 * for its duration, measured in elapsed time. Where clocks change, a time that is skipped counts as the first one after it, and a time
 * that occurs twice counts once. Where windows overlap, the highest minimum applies.
 */
import { Cron } from 'croner';
import { z } from 'zod';

import { parseDuration } from '../shared/command/duration.ts';

export interface ScheduleWindow {
  /** A cron expression of five fields. */
  readonly start: string;
  readonly durationMs: number;
  /** A name of the IANA database. */
  readonly timeZone: string;
  /** In instances. */
  readonly capacity: number;
}

/** A window at one of its starts. */
interface Opening extends Pick<ScheduleWindow, 'capacity' | 'timeZone'> {
  readonly startsAt: Date;
  readonly endsAt: Date;
}

export interface ScheduledCapacity {
  /** The instant that it is for. */
  readonly at: Date;
  /** What the schedule asks for: the highest minimum of the windows that are open or whose instances have to boot now. */
  readonly capacity: number;
  /** The window with that minimum, of several the one that ends last; null if the schedule asks for nothing. */
  readonly opening: Opening | null;
  /** The highest minimum of the windows that are open or start soon: instances that are up already stay for them. */
  readonly capacitySoon: number;
  /** The next start or end of a window. */
  readonly next: { readonly kind: 'start' | 'end'; readonly at: Date; readonly timeZone: string } | null;
}

/** Each is evaluated at every tick. */
const WINDOWS_MAX = 50;
const CHARACTERS_MAX = 5_000;
/** A boot takes longer than the minimum. With one window a week, the maximum is always open. */
const DURATION_SECONDS = { min: 60, max: 7 * 24 * 3600 } as const;
const CAPACITY_MAX = 1000;
const NO_WINDOWS = 'none';
const SECOND = ['s', 1000] as const;
const UNITS = [['h', 3_600_000] as const, ['m', 60_000] as const, SECOND];
const WINDOW =
  /^(?<start>\S+(?: \S+){4}) for (?<duration>\S+) in (?<timeZone>\S+) at least (?<capacity>\d{1,6})$/;
export const SCHEDULE_EXAMPLE = '0 8 * * 1-5 for 10h in Europe/Berlin at least 2';

/** Windows as text, with `;` between them; `none` for no window. */
export const scheduleSetting = z
  .string()
  .max(CHARACTERS_MAX)
  .transform((text, context): readonly ScheduleWindow[] => {
    if (text.trim() === NO_WINDOWS) return [];
    const windows = text.split(';').map((one) => parseWindow(one.trim().replaceAll(/\s+/g, ' ')));
    const faults = windows.filter((one) => typeof one === 'string');
    if (windows.length > WINDOWS_MAX) faults.push(`expected at most ${WINDOWS_MAX} windows`);
    for (const message of faults) context.addIssue({ code: 'custom', message });
    return windows.filter((one) => typeof one !== 'string');
  });

/** The window, or what is wrong with its text. */
function parseWindow(text: string): ScheduleWindow | string {
  const { start, duration = '', timeZone = '', capacity } = WINDOW.exec(text)?.groups ?? {};
  if (start === undefined)
    return `expected a window such as “${SCHEDULE_EXAMPLE}”, with five cron fields, and ; between windows`;
  const seconds = parseDuration(duration) ?? 0;
  if (seconds < DURATION_SECONDS.min || seconds > DURATION_SECONDS.max)
    return `expected a duration such as 90m or 10h, from 1 minute to 7 days, in place of “${duration}”`;
  if (!isTimeZone(timeZone))
    return `expected the name of a time zone, such as Europe/Berlin or UTC, in place of “${timeZone}”`;
  const instances = Number(capacity);
  if (instances < 1 || instances > CAPACITY_MAX)
    return `expected at least 1 to ${CAPACITY_MAX} instances in place of ${capacity}`;
  const window = { start, durationMs: seconds * 1000, timeZone, capacity: instances };
  return startsEver(window) ? window : `“${start}” is not a cron expression that ever matches`;
}

function isTimeZone(name: string): boolean {
  try {
    // Without this, an offset such as +01:00 would pass as a time zone.
    return /^[A-Za-z]/.test(name) && new Intl.DateTimeFormat('en', { timeZone: name }).format(0) !== '';
  } catch {
    return false;
  }
}

function startsEver(window: ScheduleWindow): boolean {
  try {
    return /^[\w*,/ -]+$/.test(window.start) && cronOf(window).nextRun(new Date(0)) !== null;
  } catch {
    return false;
  }
}

function cronOf({ start, timeZone }: ScheduleWindow): Cron {
  return new Cron(start, { timezone: timeZone, mode: '5-part' });
}

/** The text of a schedule: parsed again, it gives the same windows. */
export function scheduleText(schedule: readonly ScheduleWindow[]): string {
  if (schedule.length === 0) return NO_WINDOWS;
  return schedule
    .map(({ start, durationMs, timeZone, capacity }) => {
      const [unit, unitMs] = UNITS.find(([, ms]) => durationMs % ms === 0) ?? SECOND;
      return `${start} for ${durationMs / unitMs}${unit} in ${timeZone} at least ${capacity}`;
    })
    .join('; ');
}

/**
 * What a schedule asks for. `bootMs` is what a cold start takes: a window counts from that time before its start, so that its instances
 * stand ready when it opens. `soonMs` is at least as long.
 */
export function scheduledAt(
  schedule: readonly ScheduleWindow[],
  now: Date,
  { bootMs, soonMs }: { readonly bootMs: number; readonly soonMs: number },
): ScheduledCapacity {
  const openings = schedule.flatMap((window) => openingsAround(window, now));
  const startingWithin = (ms: number): readonly Opening[] =>
    openings.filter(({ startsAt }) => startsAt.getTime() - ms <= now.getTime());
  const [opening = null] = startingWithin(bootMs).toSorted(
    (a, b) => b.capacity - a.capacity || b.endsAt.getTime() - a.endsAt.getTime(),
  );
  const [next = null] = openings
    .map(({ startsAt, endsAt, timeZone }) =>
      startsAt > now
        ? { kind: 'start' as const, at: startsAt, timeZone }
        : { kind: 'end' as const, at: endsAt, timeZone },
    )
    .toSorted((a, b) => a.at.getTime() - b.at.getTime());
  return {
    at: now,
    capacity: opening?.capacity ?? 0,
    opening,
    capacitySoon: Math.max(0, ...startingWithin(soonMs).map(({ capacity }) => capacity)),
    next,
  };
}

/** The opening of a window that contains the instant, if there is one, and the next opening. */
function openingsAround(window: ScheduleWindow, now: Date): readonly Opening[] {
  const cron = cronOf(window);
  // croner looks for starts before an instant, not at it.
  const [last] = cron.previousRuns(1, new Date(now.getTime() + 1));
  const { capacity, timeZone, durationMs } = window;
  return [last, cron.nextRun(now)]
    .filter((startsAt) => startsAt !== undefined && startsAt !== null)
    .map((startsAt) => ({
      capacity,
      timeZone,
      startsAt,
      endsAt: new Date(startsAt.getTime() + durationMs),
    }))
    .filter(({ endsAt }) => endsAt > now);
}

/** `18:00 (Europe/Berlin)`, with the date unless it is today there. */
export function localTimeText(at: Date, now: Date, timeZone: string): string {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'short' });
  const [date, time] = format.format(at).split(' ');
  const [today] = format.format(now).split(' ');
  return `${date === today ? '' : `${date} `}${time} (${timeZone})`;
}
