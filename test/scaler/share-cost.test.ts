import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { costOf, shareCost, shareWork, spendingPerHour } from '../../scaler/costs/share-cost.ts';
import { UNATTRIBUTED } from '../../shared/redis/spending.ts';
import { NOW, ago, buildBacklog, buildInstance } from '../support/scaler-tick.ts';

const HOUR = 3_600_000;
const PRICES = { spot: 0.09, gpu: 0.75 };
const cost = (instances: readonly ReturnType<typeof buildInstance>[], sinceSeconds = 60) =>
  costOf(instances, PRICES, { sinceMs: ago(sinceSeconds).getTime(), upToMs: NOW.getTime() });

describe('costOf()', () => {
  test('charges by hour and pool since the last charge', () => {
    expect(cost([buildInstance('a'), buildInstance('b', { pool: 'spot' })], 360)).toEqual({
      machineMs: 720_000,
      micros: 75_000 + 9_000,
    });
  });

  test('charges from the creation of an instance, while it boots', () => {
    const young = buildInstance('a', { createdAt: ago(20), phase: 'creating' });
    expect(cost([young])).toEqual({ machineMs: 20_000, micros: Math.round((20_000 / HOUR) * 0.75e6) });
  });

  test('charges nothing for stopped, failed and deleting instances', () => {
    const phases = ['stopped', 'failed', 'deleting'] as const;
    expect(cost(phases.map((phase) => buildInstance(phase, { phase })))).toEqual({ machineMs: 0, micros: 0 });
    expect(spendingPerHour([buildInstance('a', { phase: 'stopped' }), buildInstance('b')], PRICES)).toBe(
      0.75,
    );
  });

  test('charges at most 15 minutes after a gap without ticks', () => {
    expect(cost([buildInstance('a', { createdAt: ago(90_000) })], 86_400).machineMs).toBe(900_000);
  });

  test('charges time but no money for a pool without a price', () => {
    expect(cost([buildInstance('a', { pool: 'local' })])).toEqual({ machineMs: 60_000, micros: 0 });
  });
});

describe('shareCost()', () => {
  const amount = { machineMs: 60_000, micros: 1_000 };

  test('attributes the cost to no job while there is no work', () => {
    expect(shareCost(amount, [], new Map())).toEqual(new Map([[UNATTRIBUTED, amount]]));
    const done = buildBacklog('job-1', { framesRemaining: 0 });
    expect(shareCost(amount, [done], new Map())).toEqual(new Map([[UNATTRIBUTED, amount]]));
  });

  test('shares the cost by the remaining engine-seconds of each job', () => {
    const backlog = [
      buildBacklog('slow', { model: 'slow', framesRemaining: 100 }),
      buildBacklog('fast', { model: 'fast', framesRemaining: 100 }),
    ];
    const rates = new Map([
      ['slow', 1],
      ['fast', 3],
    ]);
    expect(shareCost(amount, backlog, rates)).toEqual(
      new Map([
        ['slow', { machineMs: 45_000, micros: 750 }],
        ['fast', { machineMs: 15_000, micros: 250 }],
      ]),
    );
  });

  test('charges a job that is still being split for the instance that boots for it', () => {
    const opened = buildBacklog('job-1', { framesRemaining: 0, isSplitting: true });
    expect(shareCost(amount, [opened], new Map())).toEqual(new Map([['job-1', amount]]));
  });

  test('charges a job at its cap only for its batches in flight', () => {
    const held = buildBacklog('held', { spent: 5, spendingMax: 5, framesRemaining: 1000, isSplitting: true });
    const other = buildBacklog('other', { framesRemaining: 100 });
    const shares = (framesInFlight: number) =>
      shareCost(amount, [{ ...held, framesInFlight }, other], new Map());
    expect(shares(0)).toEqual(
      new Map([
        ['held', { machineMs: 0, micros: 0 }],
        ['other', amount],
      ]),
    );
    expect(shares(100).get('held')).toEqual({ machineMs: 30_000, micros: 500 });
    expect(shareCost(amount, [held], new Map())).toEqual(new Map([[UNATTRIBUTED, amount]]));
  });

  test('returns shares that add up to the total for any jobs', () => {
    const job = fc.record({
      spent: fc.nat(2),
      spendingMax: fc.constantFrom(null, 1),
      framesInFlight: fc.nat(1_000),
      framesRemaining: fc.nat(1_000_000),
      megapixelsPerFrame: fc.double({ min: 0, max: 100, noNaN: true }),
      isSplitting: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(job, { maxLength: 20 }), fc.nat(1e9), fc.nat(1e9), (jobs, machineMs, micros) => {
        const backlog = jobs.map((fields, index) => buildBacklog(`job-${index}`, fields));
        const shares = [...shareCost({ machineMs, micros }, backlog, new Map()).values()];
        expect(shares.reduce((sum, share) => sum + share.machineMs, 0)).toBe(machineMs);
        expect(shares.reduce((sum, share) => sum + share.micros, 0)).toBe(micros);
        expect(shares.every((share) => share.machineMs >= 0 && share.micros >= 0)).toBe(true);
      }),
    );
  });
});

describe('shareWork()', () => {
  test('charges the jobs of the batches, and each worker the same share', () => {
    const amount = { machineMs: 40_001, micros: 100 };
    expect(shareWork(amount, ['job-1', 'job-1', 'job-1', 'job-2'])).toEqual(
      new Map([
        ['job-1', { machineMs: 30_001, micros: 75 }],
        ['job-2', { machineMs: 10_000, micros: 25 }],
      ]),
    );
  });
});
