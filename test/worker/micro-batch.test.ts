/** How frames that run together are split, and what happens when a run fails. The model is a function here. */
import { describe, expect, test } from 'vitest';

import type { FrameRange } from '../../shared/contract/ranges.ts';
import { ModelMismatchError } from '../../worker/engine/check-model.ts';
import { FramePool } from '../../worker/engine/frame-pool.ts';
import { MicroBatchSize } from '../../worker/engine/micro-batch-size.ts';
import { type FrameInBuffers, scoreTogether } from '../../worker/engine/micro-batch.ts';

const OUT_OF_MEMORY = 'Failed to allocate memory for requested buffer of size 4503599627370496';
const FIRST = 100;

/** Consecutive frames, whose buffers are at these places of pools with so many buffers. */
async function framesAt(count: number, { skip = 0, buffers = 64 } = {}): Promise<FrameInBuffers[]> {
  const [inputs, outputs] = [1, 2].map((bytesPerBuffer) => new FramePool({ buffers, bytesPerBuffer }));
  if (inputs === undefined || outputs === undefined) throw new RangeError('expected two pools');
  for (let number = 0; number < skip; number += 1) inputs.giveBack(await inputs.take());
  const frames: FrameInBuffers[] = [];
  for (let number = 0; number < count; number += 1)
    frames.push({ frameIndex: FIRST + number, input: await inputs.take(), output: await outputs.take() });
  return frames;
}

/** Scores frames with a model that throws what `fault` returns. Ranges are relative to the first frame. */
async function score(
  frames: readonly FrameInBuffers[],
  size: number,
  fault: (frames: FrameRange) => Error | undefined = () => undefined,
) {
  const runs: FrameRange[] = [];
  const failed: number[] = [];
  const reductions: number[] = [];
  const microBatch = new MicroBatchSize(size, (reduced) => reductions.push(reduced));
  const outcomes = await scoreTogether(frames, microBatch, {
    infer: async ([start, end], input, output) => {
      const range = [start - FIRST, end - FIRST] as const;
      runs.push(range);
      expect([input.length, output.length]).toEqual([end - start, 2 * (end - start)]);
      await Promise.resolve();
      const error = fault(range);
      if (error !== undefined) throw error;
      return end - start;
    },
    onFailed: (frameIndex) => failed.push(frameIndex - FIRST),
  });
  expect(outcomes.map(([frame]) => frame)).toEqual(frames);
  return {
    runs,
    failed,
    reductions,
    outcomes: outcomes.map(([, outcome]) => outcome),
    size: microBatch.frames,
  };
}

const longerThan =
  (max: number, message: string) =>
  ([start, end]: FrameRange): Error | undefined =>
    end - start > max ? new Error(message) : undefined;
const without =
  (guilty: number, make: () => Error) =>
  ([start, end]: FrameRange): Error | undefined =>
    start <= guilty && guilty < end ? make() : undefined;

describe('frames run together', () => {
  test('in one run, and each gets its share of the time', async () => {
    const { runs, outcomes } = await score(await framesAt(4), 4);
    expect(runs).toEqual([[0, 4]]);
    expect(outcomes).toEqual([1, 1, 1, 1]);
  });

  test('in more runs if there are more of them than may run together', async () => {
    expect((await score(await framesAt(7), 3)).runs).toEqual([
      [0, 3],
      [3, 6],
      [6, 7],
    ]);
  });

  test('in two runs where the block of a pool starts again', async () => {
    expect((await score(await framesAt(4, { skip: 7, buffers: 8 }), 4)).runs).toEqual([
      [0, 1],
      [1, 4],
    ]);
  });
});

describe('a run that is short of memory', () => {
  test('is halved until it fits, and later runs start with the size that did', async () => {
    const found = await score(await framesAt(8), 8, longerThan(2, OUT_OF_MEMORY));
    expect(found.reductions).toEqual([4, 2]);
    expect(found.size).toBe(2);
    expect(found.failed).toEqual([]);
    expect(found.runs.filter(([start, end]) => end - start <= 2)).toEqual([
      [0, 2],
      [2, 4],
      [4, 6],
      [6, 8],
    ]);
  });

  test('fails for each of its frames if one alone does not fit either', async () => {
    const found = await score(await framesAt(3), 4, longerThan(0, OUT_OF_MEMORY));
    expect(new Set(found.failed)).toEqual(new Set([0, 1, 2]));
    expect(found.outcomes).toEqual(['failed', 'failed', 'failed']);
    expect(found.size).toBe(1);
  });
});

describe('a run that fails otherwise', () => {
  test('is repeated frame by frame, and only the guilty frame fails', async () => {
    const found = await score(
      await framesAt(4),
      4,
      without(2, () => new Error('index out of bounds')),
    );
    expect(found.failed).toEqual([2]);
    expect(found.outcomes).toEqual([1, 1, 'failed', 1]);
    expect(found.runs).toHaveLength(5);
    expect(found.size).toBe(4);
  });

  test('is the last of several frames if none of them fails alone', async () => {
    const found = await score(await framesAt(4), 4, longerThan(1, 'the shape must be 1'));
    expect(found.failed).toEqual([]);
    expect(found.reductions).toEqual([1]);
  });

  test('with an output of the wrong size says nothing about the model, unless a frame alone has one too', async () => {
    const mismatch = (): Error => new ModelMismatchError('another size');
    const together = await score(await framesAt(4), 4, ([start, end]) =>
      end - start > 1 ? mismatch() : undefined,
    );
    expect(together.failed).toEqual([]);
    expect(together.size).toBe(1);
    await expect(score(await framesAt(4), 4, without(3, mismatch))).rejects.toThrow(ModelMismatchError);
  });
});
