import { describe, expect, test } from 'vitest';

import { VideoJoiner, reorderDepthOf } from '../../../producer/media/joined-video.ts';
import { readSegment } from '../../../producer/media/segment-samples.ts';
import { segmentBytes } from '../../support/build-segment.ts';
import { boxOf } from '../../support/mp4-boxes.ts';

/** Decoding order of two groups of four frames with B-frames: I P B B. */
const ORDER = [0, 3, 1, 2];
const segment = (): ReturnType<typeof readSegment> => readSegment(segmentBytes(ORDER));

const timeline = (pts: readonly number[], timeBase = { numerator: 1, denominator: 1_000 }) => ({
  timeBase,
  pts: Float64Array.from(pts),
});

describe('a segment', () => {
  test('is read in decoding order, each frame with its place in display order', () => {
    const { samples } = segment();
    expect(samples.map(({ displayIndex }) => displayIndex)).toEqual(ORDER);
    expect(samples.map(({ isKeyFrame }) => isKeyFrame)).toEqual([true, false, false, false]);
    expect(samples.map(({ data }) => String(data))).toEqual(['frame 0', 'frame 3', 'frame 1', 'frame 2']);
    expect(reorderDepthOf(segment())).toBe(1);
  });

  test('that is cut off anywhere is rejected', () => {
    const whole = segmentBytes(ORDER);
    for (let length = 0; length < whole.length; length += 1)
      expect(() => readSegment(whole.subarray(0, length))).toThrow(RangeError);
  });

  test('without a header is rejected', () => {
    expect(() => readSegment(boxOf('free', Buffer.alloc(4)))).toThrow('moov');
  });
});

describe('joined segments', () => {
  test('of encoders of two builds have parameter sets wherever the build changes', () => {
    const pts = Array.from({ length: 16 }, (_, index) => index);
    const joiner = new VideoJoiner({ timeline: timeline(pts), reorderDepth: 1, lastFrameTicks: 1 });
    const segments = ['a', 'b', 'b', 'a'].map((build) => readSegment(segmentBytes(ORDER, build)));
    const header = joiner.header(segment());
    const parts = segments.flatMap((one, index) => joiner.segment(index * 4, one));
    const { samples } = readSegment(Buffer.concat([header, ...parts]));
    const sets = (build: string): string => `\0\0\0\u0005sps-${build}\0\0\0\u0005pps-${build}`;
    expect(samples.filter(({ isKeyFrame }) => isKeyFrame).map(({ data }) => String(data))).toEqual([
      'frame 0',
      `${sets('b')}frame 0`,
      'frame 0',
      `${sets('a')}frame 0`,
    ]);
    expect(joiner.isMixed).toBe(true);
  });

  const uneven = [7, 8, 20, 21, 100, 101, 102, 900];

  test.each([
    ['uneven', uneven],
    ['from below zero', uneven.map((ticks) => ticks - 500)],
  ])('have the timestamps of the timeline: %s', (_name, pts) => {
    const joiner = new VideoJoiner({ timeline: timeline(pts), reorderDepth: 1, lastFrameTicks: 40 });
    const bytes = Buffer.concat([
      joiner.header(segment()),
      ...joiner.segment(0, segment()),
      ...joiner.segment(4, segment()),
    ]);
    const { samples } = readSegment(bytes);
    const lead = joiner.leadSeconds * 1_000;
    expect(samples.map(({ presentedAt }) => presentedAt - lead)).toEqual(
      [...ORDER, ...ORDER.map((index) => index + 4)].map((index) => pts[index]),
    );
    const decoded = samples.map(({ decodedAt }) => decodedAt);
    expect(decoded).toEqual(decoded.toSorted((a, b) => a - b));
    expect(new Set(decoded).size).toBe(decoded.length);
    expect(decoded.every((ticks, index) => ticks >= 0 && ticks <= (samples[index]?.presentedAt ?? 0))).toBe(
      true,
    );
  });

  test('count in the time scale of the timeline', () => {
    const ntsc = timeline([0, 1, 2, 3], { numerator: 1_001, denominator: 30_000 });
    const joiner = new VideoJoiner({ timeline: ntsc, reorderDepth: 1, lastFrameTicks: 1 });
    const { samples } = readSegment(
      Buffer.concat([joiner.header(segment()), ...joiner.segment(0, segment())]),
    );
    const lead = joiner.leadSeconds * 30_000;
    expect(samples.map(({ presentedAt }) => (presentedAt - lead) / 1_001)).toEqual(ORDER);
  });

  test('are rejected if they have more frames than the timeline, or reorder them more than stated', () => {
    const four = timeline([0, 40, 80, 120]);
    const joiner = new VideoJoiner({ timeline: four, reorderDepth: 0, lastFrameTicks: 40 });
    expect(() => joiner.segment(1, segment())).toThrow('expected 4 frames');
    expect(() => joiner.segment(0, segment())).toThrow('reorder depth');
  });
});
