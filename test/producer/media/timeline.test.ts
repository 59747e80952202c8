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

/** Timestamps in milliseconds. */
function timelineAt(pts: Iterable<number>): Timeline {
  return { timeBase: { numerator: 1, denominator: 1000 }, pts: Float64Array.from(pts) };
}

test('a timeline survives encoding and decoding unchanged', () => {
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

test.for([[[]], [[0, 0]], [[0, 40, 39]], [[0.5]], [[NaN]]] as const)(
  'timestamps %j are rejected',
  ([pts]) => {
    expect(() => checkTimeline(timelineAt(pts))).toThrow(RangeError);
    expect(() => decodeTimeline(encodeTimeline(timelineAt(pts)))).toThrow(RangeError);
  },
);

test.for([
  ['another version', encodeTimeline(timelineAt([0])).replace('"version":2', '"version":3')],
  ['a truncated document', encodeTimeline(timelineAt([0])).slice(0, 40)],
  ['a truncated number', '{"version":2,"timeBase":{"numerator":1,"denominator":25},"pts":"AAAA"}'],
  ['invalid base64', '{"version":2,"timeBase":{"numerator":1,"denominator":25},"pts":"%%%%"}'],
  ['a time base of zero', '{"version":2,"timeBase":{"numerator":0,"denominator":25},"pts":"AAAAAAAAAAA="}'],
] as const)('decodeTimeline rejects %s', ([, text]) => {
  expect(() => decodeTimeline(text)).toThrow(RangeError);
});

test('the last frame has the median duration', () => {
  const timeline = timelineAt([-100, -60, -20, 20, 900]);
  expect(typicalFrameSeconds(timeline, { framesPerSecond: 99 })).toBeCloseTo(0.04);
  expect(durationSeconds(timeline, { framesPerSecond: 99 })).toBeCloseTo(1.04);
});

test('millisecond timestamps do not distort the rate', () => {
  const timeline = timelineAt([33, 67, 100, 133, 167, 200]);
  expect(typicalFrameSeconds(timeline, { framesPerSecond: 30 })).toBeCloseTo(1 / 30, 9);
});

test('a single frame lasts for the inverse of the rate', () => {
  expect(durationSeconds(timelineAt([500]), { framesPerSecond: 25 })).toBeCloseTo(0.04);
});

test('frames one tick apart are crowded only if frames are normally many ticks apart', () => {
  const timeline = timelineAt([0, 40, 41, 42, 120]);
  expect(crowdedFrames(timeline, { framesPerSecond: 25 })).toBe(2);
  expect(crowdedFrames(timeline, { framesPerSecond: 500 })).toBe(0);
});
