import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { countOf, indicesOf, toRanges } from '../../../shared/contract/ranges.ts';

/** From a small interval, so that neighbours and duplicates are common. */
const indices = fc.array(fc.nat({ max: 60 }));

test('toRanges keeps the set of frames, in any order and with duplicates', () => {
  fc.assert(
    fc.property(indices, (frames) => {
      const ranges = toRanges(frames);
      const expected = [...new Set(frames)].toSorted((a, b) => a - b);
      expect([...indicesOf(ranges)]).toEqual(expected);
      expect(countOf(ranges)).toBe(expected.length);
    }),
  );
});

test('toRanges returns ascending ranges with a gap between any two', () => {
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

test('toRanges returns no range for no frames', () => {
  expect(toRanges([])).toEqual([]);
  expect(toRanges([9, 10, 3, 4, 5, 4])).toEqual([
    [3, 6],
    [9, 11],
  ]);
});
