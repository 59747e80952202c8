import { expect, test } from 'vitest';

import { differencesOf } from '../../../producer/media/check-result.ts';

/** 50 frames of 40 ms. */
const timeline = {
  timeBase: { numerator: 1, denominator: 25 },
  pts: Float64Array.from({ length: 50 }, (_, index) => index),
};
const expected = { timeline, soundTrackCount: 1, framesPerSecond: 25 };
const good = { audioTrackCount: 1, durationSeconds: 2, packetCount: 50 };

test('a result with the same frames, length and sound passes', () => {
  expect(differencesOf(good, expected)).toEqual([]);
});

const lasting = (durationSeconds: number) => differencesOf({ ...good, durationSeconds }, expected);

test('a last frame that lasts a frame longer or shorter is no difference, two frames are', () => {
  expect(lasting(1.96)).toEqual([]);
  expect(lasting(2.04)).toEqual([]);
  expect(lasting(1.92)).toHaveLength(1);
  expect(lasting(2.08)).toHaveLength(1);
});

test('everything that differs is told at once', () => {
  expect(
    differencesOf({ audioTrackCount: 0, durationSeconds: undefined, packetCount: 49 }, expected),
  ).toEqual([
    'it has 49 pictures for 50 frames',
    'its picture lasts 0.000 s where the timeline has 2.000 s',
    'it has 0 tracks of sound where 1 were to be kept',
  ]);
});
