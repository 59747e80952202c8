import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { type EstimatedWork, estimateJob } from '../../producer/estimate/estimate.ts';
import type { FleetRates } from '../../shared/contract/fleet-rates.ts';

const RATES: FleetRates = {
  version: 1,
  measuredAt: '2026-11-23T06:15:02.000Z',
  models: { painter: 100 },
  split: { cut: 1000, decode: 50, images: 50 },
  join: 1000,
  bootSeconds: 240,
  idleSeconds: 240,
  enginesPerMachine: 1,
  machinesMax: 20,
  drainTargetSeconds: 300,
  pools: [
    { name: 'spot', pricePerHour: 0.06 },
    { name: 'gpu', pricePerHour: 0.53 },
  ],
};
/** An hour at 25 frames per second and one megapixel: 900 s of one engine. */
const WORK: EstimatedWork = {
  split: 'cut',
  frames: 90_000,
  megapixelsPerFrame: 1,
  model: 'painter',
  contextFrames: 0,
  batchFrames: undefined,
};
const on = (machines: number, work: Partial<EstimatedWork> = {}, rates: Partial<FleetRates> = {}) => {
  const { wallSeconds, ...rest } = estimateJob({ ...WORK, ...work }, { ...RATES, ...rates }, [machines]);
  const [fleet] = wallSeconds;
  if (fleet === undefined) throw new Error('expected an estimate for the number of machines');
  return { ...fleet, ...rest };
};

describe('estimateJob()', () => {
  test('takes boot, scoring and join together, and each machine its boot and its idle window', () => {
    const { secondsByStage, seconds, machineSeconds, gpuSeconds, money } = on(1);
    expect(gpuSeconds).toBe(900);
    expect(secondsByStage).toEqual({ start: 240, scoring: expect.closeTo(900) as number, join: 92 });
    expect(seconds).toBeCloseTo(240 + 900 + 92);
    expect(machineSeconds).toEqual({
      work: 900,
      boot: 240,
      idle: expect.closeTo(240) as number,
      total: expect.closeTo(1380) as number,
    });
    expect(money).toBeCloseTo((1380 / 3600) * 0.06);
  });

  test('the parts add up, and more machines are never slower', () => {
    fc.assert(
      fc.property(
        fc.record({
          frames: fc.integer({ min: 1, max: 1_000_000 }),
          megapixelsPerFrame: fc.double({ min: 0.05, max: 33, noNaN: true }),
          contextFrames: fc.constantFrom(0, 4, 64),
          split: fc.constantFrom('cut', 'decode', 'images'),
        }),
        fc.integer({ min: 1, max: 50 }),
        (work, machines) => {
          const [few, more] = [on(machines, work), on(machines + 1, work)];
          for (const { machineSeconds, secondsByStage, ...fleet } of [few, more]) {
            const { work: busy, boot, idle, total } = machineSeconds;
            expect(busy + boot + idle).toBeCloseTo(total, 6);
            expect(Object.values(secondsByStage).reduce((sum, part) => sum + part)).toBeCloseTo(
              fleet.seconds,
              6,
            );
            expect(Math.min(busy, boot, idle)).toBeGreaterThanOrEqual(0);
          }
          expect(more.seconds).toBeLessThanOrEqual(few.seconds + 1e-6);
        },
      ),
    );
  });

  test('a job uses no more machines than it has batches', () => {
    const few = on(20, { frames: 48, batchFrames: 16 });
    expect(few).toMatchObject({ machines: 20, machinesUsed: 3, batches: 3 });
    expect(few.machineSeconds).toEqual(on(3, { frames: 48, batchFrames: 16 }).machineSeconds);
    expect(on(20, { frames: 48, batchFrames: 16 }, { enginesPerMachine: 2 }).machinesUsed).toBe(2);
  });

  test('four batches take two engines as long as three', () => {
    const seconds = (frames: number) => on(2, { frames, batchFrames: 500 }).secondsByStage.scoring;
    expect(seconds(2000)).toBeCloseTo(10);
    expect(seconds(1500)).toBeCloseTo(10);
    // The last batch is shorter, and alone in its wave.
    expect(seconds(1100)).toBeCloseTo(5 + 1);
  });

  test('counts the frames that a model with a state sees again before each batch but the first', () => {
    expect(on(1, { frames: 1000, batchFrames: 100, contextFrames: 10 }).gpuSeconds).toBeCloseTo(10.9);
  });

  test('scoring is not faster than a source can be decoded', () => {
    const { secondsByStage } = on(20, { split: 'decode' });
    // 90,000 megapixels at 50 per second, without the first batch, which the start counts.
    expect(secondsByStage.scoring).toBeGreaterThan(90_000 / 50 - 20);
    expect(secondsByStage.scoring).toBeLessThan(90_000 / 50 + 20);
  });

  test('names the number of machines that the scaler starts', () => {
    expect(estimateJob(WORK, RATES).machinesWanted).toBe(3);
    expect(estimateJob(WORK, RATES).wallSeconds.map(({ machines }) => machines)).toEqual([3]);
    expect(estimateJob(WORK, { ...RATES, machinesMax: 2 }).machinesWanted).toBe(2);
    expect(estimateJob({ ...WORK, frames: 20 }, RATES).machinesWanted).toBe(1);
  });

  test('has no cost without prices, and says what has not been measured', () => {
    const { money, isMeasured, basis } = on(
      1,
      {},
      { pools: [{ name: 'local', pricePerHour: null }], models: {} },
    );
    expect(money).toBeNull();
    expect(isMeasured).toBe(false);
    expect(basis).toMatch(/^Not measured yet: painter/);
    expect(on(1).basis).toBe(
      'Measured on this fleet until 2026-11-23 06:15Z: 100 megapixels per second of an engine, a boot of 240 s and an idle window of 240 s.',
    );
  });
});
