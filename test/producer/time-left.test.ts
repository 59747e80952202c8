import { describe, expect, test } from 'vitest';

import { type Progress, nextSamples, paceOf } from '../../producer/jobs/time-left.ts';
import { type TraceOptions, type TracePoint, traceOf } from '../support/scoring-trace.ts';

/** After the fleet has grown or shrunk: until each worker has reported, and a worker that is gone no longer counts. */
const SETTLED_SECONDS = 16;

interface Case extends TraceOptions {
  /** When the last worker came or went, or the job went on. */
  readonly steadyFrom: number;
}

const CASES: Readonly<Record<string, Case>> = {
  'one worker': { frames: 3000, batchFrames: 180, framesPerSecond: 6, readyAt: [2], steadyFrom: 2 },
  'three workers and sixteen batches': {
    frames: 1600,
    batchFrames: 100,
    framesPerSecond: 5,
    readyAt: [2, 2.5, 3],
    steadyFrom: 3,
  },
  'workers of different speed': {
    frames: 6000,
    batchFrames: 120,
    framesPerSecond: 6,
    readyAt: [2, 2, 3, 4],
    noise: 0.15,
    steadyFrom: 4,
  },
  'a fleet that grows from zero': {
    frames: 40_000,
    batchFrames: 300,
    framesPerSecond: 10,
    readyAt: [240, 245, 250, 260, 262, 270, 275, 280],
    loadSeconds: 30,
    noise: 0.1,
    steadyFrom: 310,
  },
  'a pause': {
    frames: 6000,
    batchFrames: 180,
    framesPerSecond: 6,
    readyAt: [2, 3, 4],
    pause: [60, 400],
    noise: 0.1,
    steadyFrom: 400,
  },
  'a model that loads for long': {
    frames: 3000,
    batchFrames: 180,
    framesPerSecond: 6,
    readyAt: [2, 3],
    loadSeconds: 40,
    noise: 0.1,
    steadyFrom: 43,
  },
  'segments longer than the interval of reports': {
    frames: 12_000,
    batchFrames: 256,
    framesPerSecond: 6,
    readyAt: [2, 3, 4],
    segmentFrames: 64,
    noise: 0.1,
    steadyFrom: 4,
  },
  'an earlier measurement that is a third too low': {
    frames: 3000,
    batchFrames: 180,
    framesPerSecond: 6,
    readyAt: [2, 3],
    noise: 0.1,
    expectedRate: 4,
    steadyFrom: 3,
  },
  'an eviction': {
    frames: 20_000,
    batchFrames: 300,
    framesPerSecond: 10,
    readyAt: [20, 22, 23, 24],
    evictedAt: { 3: 60 },
    noise: 0.1,
    steadyFrom: 60,
  },
};

/** A batch is not divided, so the time of the last ones cannot be known to less than half a batch of the slowest worker. */
function toleranceOf({ actualLeft }: TracePoint, { batchFrames, framesPerSecond, noise = 0 }: Case): number {
  return Math.max(0.15 * actualLeft, batchFrames / (framesPerSecond * (1 - noise)) / 2);
}

describe.each(Object.entries(CASES))('the time left with %s', (_, options) => {
  test.each([1, 2, 3])('is right within 15 per cent after a fifth of the job, seed %i', (seed) => {
    const points = traceOf({ ...options, seed });
    const total = points[0]?.actualLeft ?? 0;
    const from = Math.max(0.2 * total, options.steadyFrom + SETTLED_SECONDS);
    const late = points.filter(({ atSeconds }) => atSeconds >= from);
    expect(late.length).toBeGreaterThan(total / 4);
    for (const point of late) {
      const { atSeconds, secondsLeft, actualLeft } = point;
      expect(secondsLeft, `at ${atSeconds} s`).not.toBeNull();
      const error = Math.abs((secondsLeft ?? 0) - actualLeft);
      expect(error, `${secondsLeft} of ${actualLeft} s, at ${atSeconds} s`).toBeLessThanOrEqual(
        toleranceOf(point, options),
      );
    }
  });
});

const PROGRESS: Progress = {
  job: {
    framesExpected: 1000,
    framesSplit: 1000,
    splitFinished: true,
    framesScored: 0,
    framesFailed: 0,
    framesUnderway: 0,
    batchSize: 100,
    megapixelsPerFrame: 1,
  },
  times: { inferSeconds: 0, reportedSeconds: 0, framesBefore: 0 },
  workers: [],
  expectedRate: null,
  joinRate: 1000,
  nowMs: 100_000,
};
const START = nextSamples([], PROGRESS);
const after = (changes: Partial<Progress>, job: Partial<Progress['job']> = {}) => {
  const progress = { ...PROGRESS, ...changes, job: { ...PROGRESS.job, ...job } };
  return paceOf(progress, nextSamples(START, progress));
};
const WORKER = { reportedAtMs: 100_000, framesLeft: 100 };
const SEEN = { ...PROGRESS.times, reportedSeconds: 10 };

test('the time left is not known before the first frame, and while no worker reports', () => {
  expect(after({})).toBeNull();
  expect(after({ times: SEEN, workers: [WORKER] })).toBeNull();
  expect(after({ times: SEEN }, { framesScored: 100 })).toBeNull();
});

test('what earlier jobs have measured counts until this job has frames of its own, and then less and less', () => {
  const earlier = { workers: [WORKER], expectedRate: 20 };
  expect(after(earlier)?.framesPerSecond).toBe(20);
  const rateAfter = (seconds: number) =>
    after({ ...earlier, times: { ...SEEN, reportedSeconds: seconds } }, { framesScored: 10 * seconds })
      ?.framesPerSecond ?? 0;
  expect(rateAfter(10)).toBeCloseTo(15);
  expect(rateAfter(90)).toBeLessThan(12);
});

test('frames that are scored and not stored count; so do those that failed', () => {
  const job = { framesScored: 60, framesUnderway: 30, framesFailed: 10 };
  // 100 frames in 10 s of a worker; 900 left, and the join.
  expect(after({ times: SEEN, workers: [WORKER] }, job)).toEqual({
    framesPerSecond: 10,
    secondsLeft: 90 + 3,
  });
});

test('frames of an earlier run of the job are no work of this one', () => {
  const progress = {
    ...PROGRESS,
    times: { ...SEEN, framesBefore: 500 },
    workers: [WORKER],
    job: { ...PROGRESS.job, framesScored: 600 },
  };
  expect(paceOf(progress, nextSamples([], progress))).toEqual({ framesPerSecond: 10, secondsLeft: 40 + 3 });
});

test('two workers with one batch left take as long as one', () => {
  const workers = [{ ...WORKER, framesLeft: 0 }, WORKER];
  expect(after({ times: SEEN, workers }, { framesScored: 900 })?.secondsLeft).toBeCloseTo(100 / 90 + 3);
});

test('a source that is split more slowly than it is scored bounds the time left', () => {
  const times = { ...SEEN, splittingSinceMs: 0 };
  const job = { framesScored: 100, framesSplit: 200, splitFinished: false };
  // 200 frames in 100 s: 400 s for the other 800, and then the last batch.
  expect(after({ times, workers: [WORKER] }, job)?.secondsLeft).toBeCloseTo(400 + 10 + 3);
});

test('while the result is joined, the rest of the usual time of a join is left', () => {
  const times = { ...SEEN, scoredAtMs: 99_000 };
  expect(after({ times }, { framesScored: 1000 })).toEqual({ framesPerSecond: 0, secondsLeft: 2 });
  expect(after({ times, nowMs: 200_000 }, { framesScored: 1000 })?.secondsLeft).toBe(0);
});

test('a source that is split again is measured anew', () => {
  const scored = nextSamples(START, {
    ...PROGRESS,
    times: SEEN,
    job: { ...PROGRESS.job, framesScored: 500 },
  });
  const later = nextSamples(scored, {
    ...PROGRESS,
    times: { ...SEEN, reportedSeconds: 130 },
    job: { ...PROGRESS.job, framesScored: 800 },
  });
  const again = { ...PROGRESS, times: { ...SEEN, reportedSeconds: 200 } };
  expect(nextSamples(later.slice(1), again)).toEqual([{ framesDone: 0, workerSeconds: 200 }]);
});
