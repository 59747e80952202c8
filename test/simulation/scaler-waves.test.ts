/** Square waves of load in virtual time with the real `decide`: how often the fleet scales in, and that it keeps up. */
import { expect, test } from 'vitest';

import { POLICY_DEFAULTS } from '../../scaler/policy.ts';
import { MINUTE_MS, buildArrivingJob as job, runCalmly as calm } from './simulator/calm.ts';
import type { Episode } from './simulator/episode.ts';
import type { ArrivingJob } from './simulator/scenario.ts';

function wave(periodMs: number, periods: number): readonly ArrivingJob[] {
  return Array.from({ length: periods }, (_, index) => job(index * periodMs));
}

/** The number of scale-ins in each period. */
function perPeriod({ scaleIns }: Episode, periodMs: number, periods: number): readonly number[] {
  return Array.from(
    { length: periods },
    (_, index) => scaleIns.filter(({ atMs }) => Math.floor(atMs / periodMs) === index).length,
  );
}

test.each([20, 30, 45, 60])('a wave of load every %i minutes leads to one scale-in per period', (minutes) => {
  const periodMs = minutes * MINUTE_MS;
  const run = calm(wave(periodMs, 8));
  expect(run.violations).toEqual([]);
  expect(perPeriod(run, periodMs, 8)).toEqual([1, 1, 1, 1, 1, 1, 1, 1]);
});

test(
  'no wave leads to two scale-ins per period, for any period, load and boot time',
  { timeout: 60_000 },
  () => {
    const flapping = [15, 20, 30, 60].flatMap((minutes) =>
      [60_000, 120_000, 300_000].flatMap((bootMs) =>
        [10, 60, 200].flatMap((batches) => {
          const periodMs = minutes * MINUTE_MS;
          const jobs = Array.from({ length: 6 }, (_, index) => job(index * periodMs, { batches }));
          const most = Math.max(...perPeriod(calm(jobs, { bootMs }), periodMs, 7));
          return most > 1 ? [{ minutes, bootMs, batches, most }] : [];
        }),
      ),
    );
    expect(flapping).toEqual([]);
  },
);

test('a wave within the idle window of the last one reuses its fleet', () => {
  const periodMs = 6 * MINUTE_MS;
  const run = calm(wave(periodMs, 10), { bootMs: 300_000 });
  expect(run.violations).toEqual([]);
  expect(Math.max(...perPeriod(run, periodMs, 12))).toBeLessThanOrEqual(1);
  expect(run.removed).toBe(run.machinesMax);
});

test('a wave on top of steady work leads to one scale-in per period', () => {
  const periodMs = 60 * MINUTE_MS;
  const steady = job(0, { batches: 1_600, batchMs: 20_000 });
  const policy = { ...POLICY_DEFAULTS, capacityMax: 30, drainTargetMs: 3_600_000 };
  const run = calm([steady, ...wave(periodMs, 4)], { policy });
  expect(run.violations).toEqual([]);
  expect(Math.max(...perPeriod(run, periodMs, 6))).toBeLessThanOrEqual(1);
});

test.each([4, 10, 18])('a trickle of batches of %i s keeps only a few workers', (seconds) => {
  const little = Array.from({ length: 30 }, (_, index) =>
    job((1 + 2 * index) * MINUTE_MS, { batches: 16, batchMs: seconds * 1_000 }),
  );
  const run = calm([job(0, { batches: 300 }), ...little]);
  expect(run.violations).toEqual([]);
  expect(run.machinesMax).toBeGreaterThanOrEqual(20);
  const early = run.scaleIns.filter(({ atMs }) => atMs < 45 * MINUTE_MS);
  expect(early.reduce((sum, { count }) => sum + count, 0)).toBeGreaterThanOrEqual(run.machinesMax - 6);
});
