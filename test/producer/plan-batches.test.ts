import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { type BatchSizeInputs, planBatchSize } from '../../producer/jobs/plan-batches.ts';
import { BATCH_FRAMES_MAX, BATCH_TARGET_SECONDS } from '../../shared/contract/limits.ts';

const HD: BatchSizeInputs = {
  framesExpected: 100_000,
  megapixelsPerFrame: 2,
  megapixelsPerSecond: 20,
  asked: undefined,
};
const inputs: fc.Arbitrary<BatchSizeInputs> = fc.record({
  framesExpected: fc.nat({ max: 1_000_000 }),
  megapixelsPerFrame: fc.double({ min: 0, max: 100, noNaN: true }),
  megapixelsPerSecond: fc.option(fc.double({ min: 0.01, max: 10_000, noNaN: true }), { nil: undefined }),
  asked: fc.constant(undefined),
});

test.each([
  ['takes its target time at the rate that was measured', {}, 300],
  ['of frames four times as large has a quarter of them', { megapixelsPerFrame: 8 }, 75],
  ['is cut down to whole frames', { megapixelsPerSecond: 19.99 }, 299],
  ['of a model nobody has run is cautious', { megapixelsPerSecond: undefined }, 60],
  ['never has more frames than its message can tell of', { megapixelsPerSecond: 1e6 }, BATCH_FRAMES_MAX],
  ['of a slow model still is a few frames', { megapixelsPerSecond: 0.01 }, 4],
  ['of a job that was asked for in ones is one frame', { asked: 1 }, 1],
  ['of a job that was asked for is taken as it is', { asked: 500, megapixelsPerSecond: 0.01 }, 500],
  ['asked for beyond the bound is cut to it', { asked: 513 }, BATCH_FRAMES_MAX],
  ['asked for as nothing is one frame', { asked: 0 }, 1],
  ['of a video without frames has a size all the same', { framesExpected: 0 }, 4],
  ['of frames without pixels is bounded', { megapixelsPerFrame: 0 }, BATCH_FRAMES_MAX],
])('a batch %s', (_, fields, expected) => {
  expect(BATCH_TARGET_SECONDS).toBe(30);
  expect(planBatchSize({ ...HD, ...fields })).toBe(expected);
});

test('a short job is still cut into enough batches for several engines', () => {
  for (const framesExpected of [100, 250, 1000]) {
    expect(framesExpected / planBatchSize({ ...HD, framesExpected })).toBeGreaterThan(7);
  }
});

test('whatever is known, a batch is a whole number of frames within the bound', () => {
  fc.assert(
    fc.property(inputs, (known) => {
      const size = planBatchSize(known);
      expect(Number.isInteger(size)).toBe(true);
      expect(size).toBeGreaterThanOrEqual(1);
      expect(size).toBeLessThanOrEqual(BATCH_FRAMES_MAX);
    }),
  );
});

test('longer videos, faster engines and smaller frames never make smaller batches', () => {
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
