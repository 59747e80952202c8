import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import {
  type Timeline,
  crowdedFrames,
  durationSeconds,
  timelineSchema,
  truncationOf,
  typicalFrameSeconds,
} from '../../../producer/media/timeline.ts';

/** Milliseconds. */
function timelineAt(pts: readonly number[]): Timeline {
  return { version: 1, timeBase: { numerator: 1, denominator: 1000 }, pts: [...pts] };
}

const everyFortyMs = (count: number, first = 0) =>
  timelineAt(Array.from({ length: count }, (_, index) => first + index * 40));

test('a timeline comes back from JSON as it was', () => {
  const times = fc
    .uniqueArray(fc.integer(), { minLength: 1 })
    .map((pts) => timelineAt(pts.sort((a, b) => a - b)));
  fc.assert(
    fc.property(times, (timeline) => {
      expect(timelineSchema.parse(JSON.parse(JSON.stringify(timeline)))).toEqual(timeline);
    }),
  );
});

test.for([[[]], [[0, 0]], [[0, 40, 39]], [[0.5]]] as const)('times %j are no timeline', ([pts]) => {
  expect(timelineSchema.safeParse(timelineAt(pts)).success).toBe(false);
});

test('another version is refused rather than misread', () => {
  expect(timelineSchema.safeParse({ ...timelineAt([0]), version: 2 }).success).toBe(false);
});

test('the last frame is taken to last as long as the median one', () => {
  const timeline = timelineAt([-100, -60, -20, 20, 900]);
  expect(typicalFrameSeconds(timeline, { framesPerSecond: 99 })).toBeCloseTo(0.04);
  expect(durationSeconds(timeline, { framesPerSecond: 99 })).toBeCloseTo(1.04);
});

test('a clock of milliseconds does not bend the rate', () => {
  const timeline = timelineAt([33, 67, 100, 133, 167, 200]);
  expect(typicalFrameSeconds(timeline, { framesPerSecond: 30 })).toBeCloseTo(1 / 30, 9);
});

test('a lone frame lasts one over the rate', () => {
  expect(durationSeconds(timelineAt([500]), { framesPerSecond: 25 })).toBeCloseTo(0.04);
});

test('frames at a single tick are crowded where frames are many ticks apart, and only there', () => {
  const timeline = timelineAt([0, 40, 41, 42, 120]);
  expect(crowdedFrames(timeline, { framesPerSecond: 25 })).toBe(2);
  expect(crowdedFrames(timeline, { framesPerSecond: 500 })).toBe(0);
});

describe('a source is called truncated', () => {
  const video = {
    framesPerSecond: 25,
    frameCountDeclared: undefined,
    frameCountEstimated: undefined,
    durationSeconds: undefined,
  };
  const counted = (frames: number) => ({
    ...video,
    frameCountDeclared: frames,
    frameCountEstimated: frames,
    durationSeconds: frames / 25,
  });
  const timed = (seconds: number) => ({
    ...video,
    durationSeconds: seconds,
    frameCountEstimated: seconds * 25,
  });

  test.for([
    ['all declared frames decode', counted(50), everyFortyMs(50), false],
    ['two of fifty are missing', counted(50), everyFortyMs(48), false],
    ['three of fifty are missing', counted(50), everyFortyMs(47), true],
    ['two per cent of a thousand are missing', counted(1000), everyFortyMs(980), false],
    ['more than two per cent of a thousand are missing', counted(1000), everyFortyMs(979), true],
    ['more decode than are declared', counted(50), everyFortyMs(60), false],
    [
      'half are gone from the middle',
      counted(100),
      timelineAt([...everyFortyMs(25).pts, ...everyFortyMs(25, 3000).pts]),
      true,
    ],
    ['an edit list hides half', { ...counted(100), frameCountEstimated: 50 }, everyFortyMs(50), false],
    ['the picture ends half a second early', timed(4), everyFortyMs(88), false],
    ['the picture ends two seconds early', timed(4), everyFortyMs(50), true],
    ['a long picture ends within five per cent', timed(100), everyFortyMs(2400), false],
    ['a long picture ends earlier than that', timed(100), everyFortyMs(2370), true],
    ['the clock starts late but the length is right', timed(4), everyFortyMs(100, 90_000), false],
    ['the container declares nothing', video, everyFortyMs(3), false],
  ] as const)('when %s', ([, source, timeline, truncated]) => {
    expect(truncationOf({ timeline, video: source }) !== undefined).toBe(truncated);
  });

  test('in words that have both numbers', () => {
    expect(truncationOf({ timeline: everyFortyMs(30), video: counted(50) })).toBe(
      'it declares 50 frames, but only 30 could be decoded',
    );
    expect(truncationOf({ timeline: everyFortyMs(50), video: timed(4) })).toBe(
      'it declares 4.00 s, but its picture ends after 2.00 s',
    );
  });
});
