import { expect, test } from 'vitest';

import { differencesOf } from '../../../producer/media/check-result.ts';

/** 50 frames of 40 ms. */
const timeline = {
  version: 1 as const,
  timeBase: { numerator: 1, denominator: 25 },
  pts: Array.from({ length: 50 }, (_, index) => index),
};
const video = { audioTrackCount: 1, framesPerSecond: 25 };
const good = { audioTrackCount: 1, durationSeconds: 2 };

test('a result with the same frames, length and sound passes', () => {
  expect(differencesOf({ result: good, packetCount: 50, timeline, video })).toEqual([]);
});

const lasting = (durationSeconds: number) =>
  differencesOf({ result: { ...good, durationSeconds }, packetCount: 50, timeline, video });

test('a last frame that lasts a frame longer or shorter is no difference, two frames are', () => {
  expect(lasting(1.96)).toEqual([]);
  expect(lasting(2.04)).toEqual([]);
  expect(lasting(1.92)).toHaveLength(1);
  expect(lasting(2.08)).toHaveLength(1);
});

test('everything that differs is told at once', () => {
  expect(
    differencesOf({
      result: { audioTrackCount: 0, durationSeconds: undefined },
      packetCount: 49,
      timeline,
      video,
    }),
  ).toEqual([
    'it has 49 pictures for 50 frames',
    'its picture lasts 0.000 s where the timeline has 2.000 s',
    'it has 0 tracks of sound where the source has 1',
  ]);
});
