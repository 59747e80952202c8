/** Windows of the schedule in virtual time with the real `decide`: instances stand ready from start to end, and are gone after it. */
import { describe, expect, test } from 'vitest';

import { POLICY_DEFAULTS, type Policy } from '../../scaler/policy.ts';
import { scheduleSetting } from '../../scaler/schedule.ts';
import { MINUTE_MS, buildArrivingJob, runCalmly } from './simulator/calm.ts';
import type { Moment } from './simulator/episode.ts';
import type { ArrivingJob } from './simulator/scenario.ts';

/** An episode begins on 1 January 1970 at 00:16:40 UTC. */
const day = (time: string): number => Date.parse(`1970-01-01T${time}:00Z`);
const WINDOW = { text: '0 2 * * * for 90m in UTC at least 3', from: day('02:00'), until: day('03:30') };
const HOUR_MS = 60 * MINUTE_MS;
/** A boot takes up to 1.3 times its usual time, and its instances are requested and heard at a tick. */
const LATE_MS = 3 * MINUTE_MS;

/** A bound for a hang, not for slowness. */
const HANG_MS = 120_000;

interface Run {
  readonly moments: readonly Moment[];
  readonly violations: readonly unknown[];
  readonly reasons: ReadonlyMap<string, number>;
  readonly between: (fromMs: number, untilMs: number) => readonly Moment[];
}

/** The last job keeps the episode going until the windows are over. */
function run(text: string, jobs: readonly ArrivingJob[] = [], policy: Partial<Policy> = {}): Run {
  const moments: Moment[] = [];
  const last = buildArrivingJob(5 * HOUR_MS, { batches: 1 });
  const { violations, reasons } = runCalmly(
    [...jobs, last],
    { policy: { ...POLICY_DEFAULTS, capacityMax: 30, schedule: scheduleSetting.parse(text), ...policy } },
    (moment) => moments.push(moment),
  );
  const between = (fromMs: number, untilMs: number) =>
    moments.filter(({ now }) => now.getTime() >= fromMs && now.getTime() < untilMs);
  return { moments, violations, reasons, between };
}

const least = (moments: readonly Moment[]): number => Math.min(...moments.map(({ ready }) => ready));
const most = (moments: readonly Moment[]): number => Math.max(...moments.map(({ machines }) => machines));

describe('a window without work', () => {
  const { between, violations, reasons } = run(WINDOW.text);

  test('has its instances ready from its start to its end, and no more', { timeout: HANG_MS }, () => {
    expect(violations).toEqual([]);
    expect(least(between(WINDOW.from, WINDOW.until))).toBe(3);
    expect(most(between(WINDOW.from, WINDOW.until))).toBe(3);
    expect(reasons.get('schedule')).toBeGreaterThan(500);
  });

  test('has none long before it, and none soon after it', { timeout: HANG_MS }, () => {
    expect(most(between(0, WINDOW.from - 6 * MINUTE_MS))).toBe(0);
    expect(most(between(WINDOW.from - 5 * MINUTE_MS, WINDOW.from))).toBe(3);
    expect(most(between(WINDOW.until + 5 * MINUTE_MS, day('05:00')))).toBe(0);
  });
});

test('once a boot is measured, instances are ready when a window opens', { timeout: HANG_MS }, () => {
  const early = buildArrivingJob(0, { batches: 60 });
  // The boot of the first wave is measured: two minutes.
  const { between } = run(WINDOW.text, [early]);
  expect(least(between(WINDOW.from + MINUTE_MS, WINDOW.until))).toBe(3);
  expect(most(between(WINDOW.from - 20 * MINUTE_MS, WINDOW.from - 3 * MINUTE_MS))).toBe(0);
});

test(
  'work in a window starts more instances, and none that is busy at its end is removed',
  { timeout: HANG_MS },
  () => {
    const jobs = [
      buildArrivingJob(2 * HOUR_MS, { batches: 400 }),
      // Starts in the window and ends after it.
      buildArrivingJob(3.1 * HOUR_MS, { batches: 2_000, batchMs: 60_000 }),
    ];
    const { between, violations } = run(WINDOW.text, jobs);
    expect(violations).toEqual([]);
    expect(least(between(WINDOW.from + LATE_MS, WINDOW.until))).toBeGreaterThanOrEqual(3);
    expect(most(between(WINDOW.from, WINDOW.until))).toBeGreaterThan(10);
  },
);

test(
  'overlapping windows keep the higher minimum, and the lower one after its end',
  { timeout: HANG_MS },
  () => {
    const { between, violations } = run(`${WINDOW.text}; 30 2 * * * for 30m in UTC at least 6`);
    expect(violations).toEqual([]);
    expect(least(between(day('02:30') + LATE_MS, day('03:00')))).toBe(6);
    expect(least(between(day('03:00'), WINDOW.until))).toBe(3);
    expect(most(between(day('03:10'), WINDOW.until))).toBe(3);
  },
);

test(
  'a gap between windows that is shorter than the longest idle window keeps the instances',
  { timeout: HANG_MS },
  () => {
    const { between } = run(`${WINDOW.text}; 40 3 * * * for 1h in UTC at least 2`);
    expect(least(between(WINDOW.from + LATE_MS, day('04:40')))).toBe(2);
    expect(least(between(WINDOW.until, day('03:32')))).toBeGreaterThanOrEqual(2);
  },
);

test('a minimum above the spending limit is kept as far as the limit allows', { timeout: HANG_MS }, () => {
  const policy = { pricePerHour: { local: 1 }, spendingPerHourMax: 2 };
  const { between, violations } = run(WINDOW.text, [], policy);
  expect(violations).toEqual([]);
  expect(least(between(WINDOW.from + LATE_MS, WINDOW.until))).toBe(2);
});
