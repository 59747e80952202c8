import { expect, test } from 'vitest';

import {
  compareDuration,
  compareFrameCount,
  compareFrameTimes,
  compareSoundTrack,
} from '../../../producer/media/compare-media.ts';

/** 50 frames of 40 ms. */
const timeline = {
  timeBase: { numerator: 1, denominator: 25 },
  pts: Float64Array.from({ length: 50 }, (_, index) => index),
};
const expected = { timeline, framesPerSecond: 25 };
const millisecondTimes = (seconds: readonly number[]) => ({
  timeBase: { numerator: 1, denominator: 1000 },
  pts: Float64Array.from(seconds, (time) => Math.round(time * 1000)),
});

test('as many frames are the same, one fewer differs', () => {
  const found = (pts: Float64Array) => ({ timeline: { ...timeline, pts }, durationSeconds: 2 });
  expect(compareFrameCount(expected, found(timeline.pts)).verdict).toBe('same');
  expect(compareFrameCount(expected, found(timeline.pts.subarray(1)))).toEqual({
    what: 'Frames',
    source: '50',
    result: '49',
    verdict: 'differs',
  });
});

const durationVerdict = (durationSeconds: number) =>
  compareDuration(expected, { timeline, durationSeconds }).verdict;

test('the duration may differ by one frame but not by two', () => {
  expect([1.96, 2, 2.04].map(durationVerdict)).toEqual(['same', 'same', 'same']);
  expect([1.92, 2.08, 0].map(durationVerdict)).toEqual(['differs', 'differs', 'differs']);
});

test('the last frame may last as long as the average one, in a timeline with irregular gaps', () => {
  // Of a damaged source with ten frames a second, three of which have no timestamp of their own.
  const irregular = millisecondTimes([0.021, 0.377, 0.378, 0.379, 0.421]);
  const verdictAt = (framesPerSecond: number) =>
    compareDuration({ timeline: irregular, framesPerSecond }, { timeline: irregular, durationSeconds: 0.5 })
      .verdict;
  expect(verdictAt(10)).toBe('same');
  expect(verdictAt(25)).toBe('differs');
});

const timesFor = (pts: readonly number[], seconds: readonly number[]) =>
  compareFrameTimes(
    {
      timeline: { timeBase: { numerator: 1, denominator: 30 }, pts: Float64Array.from(pts) },
      framesPerSecond: 30,
    },
    { timeline: millisecondTimes(seconds), durationSeconds: 1 },
  );

test('times may differ by one tick of the coarser time base', () => {
  expect(timesFor([0, 1, 2], [0, 0.0333, 0.0667]).verdict).toBe('same');
  expect(timesFor([0, 1, 2], [0, 0.066, 0.067]).verdict).toBe('same');
  expect(timesFor([0, 1, 2, 3], [0, 1 / 30, 4 / 30, 5 / 30])).toEqual({
    what: 'Times',
    source: 'frame 2 at 0.066667 s',
    result: 'at 0.133 s, and 1 more',
    verdict: 'differs',
  });
});

test('a source that starts below zero is expected to start at zero, one that starts late to start late', () => {
  expect(timesFor([-6, -5], [0, 1 / 30]).verdict).toBe('same');
  expect(timesFor([-6, -5], [-0.2, -0.1667]).verdict).toBe('differs');
  expect(timesFor([30, 31], [1, 1.0333]).verdict).toBe('same');
  expect(timesFor([30, 31], [0, 0.0333]).verdict).toBe('differs');
});

test('a frame without a timestamp differs', () => {
  expect(timesFor([0, 1], [0, Number.NaN]).verdict).toBe('differs');
});

test('sound may be shifted with the picture, and no packet may be late', () => {
  const sound = (times: readonly number[]) => ({
    index: 1,
    codec: 'aac',
    packetCount: times.length,
    digest: 'x',
    times: Float64Array.from(times),
  });
  const verdicts = (source: readonly number[], result: readonly number[], shiftSeconds: number) =>
    compareSoundTrack(sound(source), sound(result), { shiftSeconds, samples: 'not needed' }).map(
      ({ verdict }) => verdict,
    );
  expect(verdicts([-0.02, 0, 0.02], [-0.02, 0.0005, 0.0205], 0)).toEqual(['same']);
  expect(verdicts([-0.2, -0.18], [0, 0.02], 0.2)).toEqual(['same']);
  expect(verdicts([0, 0.02, 0.04], [0, 0.02, 0.06], 0)).toEqual(['same', 'differs']);
});
