import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import {
  type Timeline,
  checkTimeline,
  crowdedFrames,
  decodeTimeline,
  durationSeconds,
  encodeTimeline,
  typicalFrameSeconds,
} from '../../../producer/media/timeline.ts';

/** Milliseconds. */
function timelineAt(pts: Iterable<number>): Timeline {
  return { timeBase: { numerator: 1, denominator: 1000 }, pts: Float64Array.from(pts) };
}

test('a timeline comes back from storage as it was', () => {
  const ticks = fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER });
  const times = fc
    .uniqueArray(ticks, { minLength: 1 })
    .map((pts) => timelineAt(pts.toSorted((a, b) => a - b)));
  fc.assert(
    fc.property(times, (timeline) => {
      expect(decodeTimeline(encodeTimeline(timeline))).toEqual(timeline);
    }),
  );
});

test.for([[[]], [[0, 0]], [[0, 40, 39]], [[0.5]], [[NaN]]] as const)('times %j are no timeline', ([pts]) => {
  expect(() => checkTimeline(timelineAt(pts))).toThrow(RangeError);
  expect(() => decodeTimeline(encodeTimeline(timelineAt(pts)))).toThrow(RangeError);
});

test.for([
  ['another version', encodeTimeline(timelineAt([0])).replace('"version":2', '"version":3')],
  ['half a document', encodeTimeline(timelineAt([0])).slice(0, 40)],
  ['half a number', '{"version":2,"timeBase":{"numerator":1,"denominator":25},"pts":"AAAA"}'],
  ['no base64', '{"version":2,"timeBase":{"numerator":1,"denominator":25},"pts":"%%%%"}'],
  ['a tick of nothing', '{"version":2,"timeBase":{"numerator":0,"denominator":25},"pts":"AAAAAAAAAAA="}'],
] as const)('%s is refused rather than misread', ([, text]) => {
  expect(() => decodeTimeline(text)).toThrow(RangeError);
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
