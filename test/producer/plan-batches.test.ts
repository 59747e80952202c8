import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { type BatchSizeInputs, planBatchSize } from '../../producer/jobs/plan-batches.ts';
import { BATCH_FRAMES_MAX, BATCH_TARGET_SECONDS } from '../../shared/contract/limits.ts';

const FULL_HD: BatchSizeInputs = {
  framesExpected: 100_000,
  megapixelsPerFrame: 2,
  megapixelsPerSecond: 20,
  requested: undefined,
};
const inputs: fc.Arbitrary<BatchSizeInputs> = fc.record({
  framesExpected: fc.nat({ max: 1_000_000 }),
  megapixelsPerFrame: fc.double({ min: 0, max: 100, noNaN: true }),
  megapixelsPerSecond: fc.option(fc.double({ min: 0.01, max: 10_000, noNaN: true }), { nil: undefined }),
  requested: fc.constant(undefined),
});

test.each([
  ['takes the target time at the measured rate', {}, 300],
  ['has a quarter of the frames when frames are four times as large', { megapixelsPerFrame: 8 }, 75],
  ['is rounded down to whole frames', { megapixelsPerSecond: 19.99 }, 299],
  ['is small when the rate of the model is unknown', { megapixelsPerSecond: undefined }, 60],
  ['never exceeds the maximum number of frames', { megapixelsPerSecond: 1e6 }, BATCH_FRAMES_MAX],
  ['has at least a few frames for a slow model', { megapixelsPerSecond: 0.01 }, 4],
  ['has one frame when the job requests one', { requested: 1 }, 1],
  ['has the size that the job requests', { requested: 500, megapixelsPerSecond: 0.01 }, 500],
  ['is limited to the maximum when the job requests more', { requested: 513 }, BATCH_FRAMES_MAX],
  ['has one frame when the job requests zero', { requested: 0 }, 1],
  ['has a size even for a video without frames', { framesExpected: 0 }, 4],
  ['is limited even for frames without pixels', { megapixelsPerFrame: 0 }, BATCH_FRAMES_MAX],
])('a batch %s', (_, fields, expected) => {
  expect(BATCH_TARGET_SECONDS).toBe(30);
  expect(planBatchSize({ ...FULL_HD, ...fields })).toBe(expected);
});

test('a short job has enough batches for several engines', () => {
  for (const framesExpected of [100, 250, 1000]) {
    expect(framesExpected / planBatchSize({ ...FULL_HD, framesExpected })).toBeGreaterThan(7);
  }
});

test('a batch is a whole number of frames within the limits for any input', () => {
  fc.assert(
    fc.property(inputs, (known) => {
      const size = planBatchSize(known);
      expect(Number.isInteger(size)).toBe(true);
      expect(size).toBeGreaterThanOrEqual(1);
      expect(size).toBeLessThanOrEqual(BATCH_FRAMES_MAX);
    }),
  );
});

test('batches never shrink for longer videos, faster engines or smaller frames', () => {
  fc.assert(
    fc.property(
      inputs,
      fc.nat(),
      fc.double({ min: 1, max: 50, noNaN: true }),
      (known, moreFrames, factor) => {
        const size = planBatchSize(known);
        const { framesExpected, megapixelsPerFrame, megapixelsPerSecond = 1 } = known;
        const longer = { ...known, framesExpected: framesExpected + moreFrames };
        expect(planBatchSize(longer)).toBeGreaterThanOrEqual(size);
        const smaller = { ...known, megapixelsPerFrame: megapixelsPerFrame / factor };
        expect(planBatchSize(smaller)).toBeGreaterThanOrEqual(size);
        const faster = { ...known, megapixelsPerSecond: megapixelsPerSecond * factor };
        const measured = planBatchSize({ ...known, megapixelsPerSecond });
        expect(planBatchSize(faster)).toBeGreaterThanOrEqual(measured);
      },
    ),
  );
});
