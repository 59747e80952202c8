import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { BATCH_FRAMES_MAX, FRAMES_MAX } from '../../../shared/contract/limits.ts';
import { indicesOf } from '../../../shared/contract/ranges.ts';
import {
  failedInSegment,
  segmentMetadata,
  segmentsOf,
  sizeInSegment,
} from '../../../shared/contract/segment.ts';

const SIZE = { width: 1921, height: 1081 };
const SEGMENT = [64, 128] as const;
/** Azure allows this much for all metadata of a blob. */
const METADATA_BYTES_MAX = 8 * 1024;

test('segments hold each frame once, in order, and only the last one may be shorter', () => {
  const frameCounts = fc.integer({ min: 1, max: BATCH_FRAMES_MAX });
  fc.assert(
    fc.property(fc.nat({ max: 100_000 }), frameCounts, frameCounts, (start, count, segmentFrames) => {
      const segments = segmentsOf([start, start + count], segmentFrames);
      const frames = Array.from({ length: count }, (_, offset) => start + offset);
      expect([...indicesOf(segments)]).toEqual(frames);
      const lengths = segments.map(([first, end]) => end - first);
      expect(lengths.slice(0, -1).filter((length) => length !== segmentFrames)).toEqual([]);
      expect(lengths.at(-1)).toBeLessThanOrEqual(segmentFrames);
    }),
  );
});

test('metadata says which frames failed, and the size of the frames', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 64, max: 127 })), (failed) => {
      const metadata = segmentMetadata(failed, SIZE);
      expect(failedInSegment(SEGMENT, metadata)).toEqual(failed.toSorted((a, b) => a - b));
      expect(sizeInSegment(metadata)).toEqual(SIZE);
    }),
  );
});

test('the longest metadata fits into the headers of a request', () => {
  const odd = Array.from({ length: BATCH_FRAMES_MAX / 2 }, (_, index) => FRAMES_MAX - 1 - 2 * index);
  const text = Object.entries(segmentMetadata(odd, SIZE)).flat().join('');
  expect(text).toMatch(/^[ -~]*$/);
  expect(text.length).toBeLessThan(METADATA_BYTES_MAX);
});

test.each(['', 'all', '[[64]]', '[[64, 65.5]]', '[[-1, 65]]', '{"64": true}', '[64]'])(
  'failed frames %j cannot be read and count as none',
  (failed) => {
    expect(failedInSegment(SEGMENT, { failed })).toEqual([]);
  },
);

test('failed frames outside the segment do not count', () => {
  expect(failedInSegment(SEGMENT, {})).toEqual([]);
  expect(failedInSegment(SEGMENT, { failed: '[[0, 64], [128, 900]]' })).toEqual([]);
  expect(failedInSegment(SEGMENT, { failed: '[[0, 66], [126, 9007199254740991]]' })).toEqual([
    64, 65, 126, 127,
  ]);
});

test.each([undefined, '', '1920', '1920x', '-1x5', '1e3x5', '1920x1080x3', '1234567x5'])(
  'the size %j is not known',
  (size) => {
    expect(sizeInSegment(size === undefined ? {} : { size })).toBeUndefined();
  },
);
