import { expect, test } from 'vitest';

import { differencesOf } from '../../../producer/media/check-result.ts';

/** 50 frames of 40 ms. */
const timeline = {
  timeBase: { numerator: 1, denominator: 25 },
  pts: Float64Array.from({ length: 50 }, (_, index) => index),
};
const expected = { timeline, audioTrackCount: 1, framesPerSecond: 25 };
const good = { audioTrackCount: 1, durationSeconds: 2, packetCount: 50 };

test('a result with the expected frames, duration and audio has no differences', () => {
  expect(differencesOf(good, expected)).toEqual([]);
});

const differencesAt = (durationSeconds: number) => differencesOf({ ...good, durationSeconds }, expected);

test('the duration may differ by one frame but not by two', () => {
  expect(differencesAt(1.96)).toEqual([]);
  expect(differencesAt(2.04)).toEqual([]);
  expect(differencesAt(1.92)).toHaveLength(1);
  expect(differencesAt(2.08)).toHaveLength(1);
});

test('the last frame may last as long as the average one, in a timeline with irregular gaps', () => {
  // Of a damaged source with ten frames a second, three of which have no timestamp of their own.
  const pts = Float64Array.of(21, 377, 378, 379, 421);
  const irregular = { timeline: { timeBase: { numerator: 1, denominator: 1000 }, pts }, audioTrackCount: 1 };
  const result = { audioTrackCount: 1, durationSeconds: 0.5, packetCount: 5 };
  expect(differencesOf(result, { ...irregular, framesPerSecond: 10 })).toEqual([]);
  expect(differencesOf(result, { ...irregular, framesPerSecond: 25 })).toHaveLength(1);
});

test('all differences are listed', () => {
  expect(
    differencesOf({ audioTrackCount: 0, durationSeconds: undefined, packetCount: 49 }, expected),
  ).toEqual([
    'it has 49 video frames, expected 50',
    'its video track lasts 0.000 s, expected 2.000 s',
    'it has 0 audio tracks, expected 1',
  ]);
});
