import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { countOf, indicesOf, toRanges } from '../../../shared/contract/ranges.ts';

/** Close together, so that neighbours and duplicates are common. */
const indices = fc.array(fc.nat({ max: 60 }));

test('a set of frames comes back from its ranges, whatever its order and duplicates', () => {
  fc.assert(
    fc.property(indices, (frames) => {
      const ranges = toRanges(frames);
      const expected = [...new Set(frames)].toSorted((a, b) => a - b);
      expect([...indicesOf(ranges)]).toEqual(expected);
      expect(countOf(ranges)).toBe(expected.length);
    }),
  );
});

test('ranges are ascending, and as few as can be: between two of them a frame is missing', () => {
  fc.assert(
    fc.property(indices, (frames) => {
      const ranges = toRanges(frames);
      for (const [index, [start, end]] of ranges.entries()) {
        expect(start).toBeLessThan(end);
        expect(start).toBeGreaterThan(ranges[index - 1]?.[1] ?? -1);
      }
    }),
  );
});

test('no frames are no ranges', () => {
  expect(toRanges([])).toEqual([]);
  expect(toRanges([9, 10, 3, 4, 5, 4])).toEqual([
    [3, 6],
    [9, 11],
  ]);
});
