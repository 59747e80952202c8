import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { type BatchSizeInputs, type BatchSizes, planBatchSizes } from '../../producer/jobs/plan-batches.ts';
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
  ['takes at most the target time at the measured rate', {}, 300, 100],
  ['has a quarter of the frames when frames are four times as large', { megapixelsPerFrame: 8 }, 75, 25],
  ['is rounded down to whole frames', { megapixelsPerSecond: 4.25 }, 63, 63],
  ['is one segment when the rate of the model is unknown', { megapixelsPerSecond: undefined }, 60, 60],
  ['never exceeds the maximum number of frames', { megapixelsPerSecond: 1e6 }, BATCH_FRAMES_MAX, 128],
  ['has at least a few frames for a slow model', { megapixelsPerSecond: 0.01 }, 16, 16],
  ['has several segments if its frames are very large', { megapixelsPerFrame: 100 }, 16, 2],
  ['has segments of one frame if its frames are huge', { megapixelsPerFrame: 300 }, 16, 1],
  ['has one frame when the job requests one', { requested: 1 }, 1, 1],
  ['has the size that the job requests', { requested: 60, megapixelsPerSecond: 0.01 }, 60, 60],
  ['is a few frames smaller than requested, to have segments of one size', { requested: 500 }, 500, 125],
  ['is limited to the maximum when the job requests more', { requested: 513 }, BATCH_FRAMES_MAX, 128],
  ['has one frame when the job requests zero', { requested: 0 }, 1, 1],
  ['has four frames for each that is scored again', { framesExpected: 100, contextFrames: 8 }, 32, 32],
  ['has the size that the job requests, with a context, too', { requested: 20, contextFrames: 8 }, 20, 20],
  ['has a size even for a video without frames', { framesExpected: 0 }, 16, 16],
  ['is limited even for frames without pixels', { megapixelsPerFrame: 0 }, BATCH_FRAMES_MAX, 128],
])('a batch %s', (_, fields, batchFrames, segmentFrames) => {
  expect(BATCH_TARGET_SECONDS).toBe(30);
  expect(planBatchSizes({ ...FULL_HD, ...fields })).toEqual({ batchFrames, segmentFrames });
});

test('a short job has enough batches for several engines', () => {
  for (const framesExpected of [100, 250, 1000]) {
    const { batchFrames } = planBatchSizes({ ...FULL_HD, framesExpected });
    expect(Math.ceil(framesExpected / batchFrames)).toBeGreaterThanOrEqual(7);
  }
});

test('a batch is a whole number of segments within the limits for any input', () => {
  fc.assert(
    fc.property(inputs, (known) => {
      const { batchFrames, segmentFrames } = planBatchSizes(known);
      expect(Number.isInteger(batchFrames) && Number.isInteger(segmentFrames)).toBe(true);
      expect(segmentFrames).toBeGreaterThanOrEqual(1);
      expect(segmentFrames).toBeLessThanOrEqual(128);
      expect(segmentFrames === 1 || segmentFrames * known.megapixelsPerFrame <= 256).toBe(true);
      expect(batchFrames % segmentFrames).toBe(0);
      expect(batchFrames).toBeGreaterThanOrEqual(1);
      expect(batchFrames).toBeLessThanOrEqual(BATCH_FRAMES_MAX);
    }),
  );
});

test('batches never shrink for longer videos, faster engines and smaller frames by as many frames as they have segments', () => {
  fc.assert(
    fc.property(
      inputs,
      fc.nat(),
      fc.double({ min: 1, max: 50, noNaN: true }),
      (known, moreFrames, factor) => {
        const { batchFrames } = planBatchSizes(known);
        const { framesExpected, megapixelsPerFrame, megapixelsPerSecond = 1 } = known;
        const longer = { ...known, framesExpected: framesExpected + moreFrames };
        const isAtLeast = (found: BatchSizes, least: number): void =>
          expect(found.batchFrames + found.batchFrames / found.segmentFrames).toBeGreaterThan(least);
        isAtLeast(planBatchSizes(longer), batchFrames);
        const faster = { ...known, megapixelsPerSecond: megapixelsPerSecond * factor };
        const measured = planBatchSizes({ ...known, megapixelsPerSecond });
        isAtLeast(planBatchSizes(faster), measured.batchFrames);
        isAtLeast(planBatchSizes({ ...known, megapixelsPerFrame: megapixelsPerFrame / factor }), batchFrames);
      },
    ),
  );
});
