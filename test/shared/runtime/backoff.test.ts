import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { backoffMs } from '../../../shared/runtime/backoff.ts';

const limits = fc
  .tuple(fc.integer({ min: 1, max: 1000 }), fc.nat({ max: 100_000 }))
  .map(([minMs, more]) => ({ minMs, maxMs: minMs + more }));
const misses = fc.nat({ max: 10_000 });
const randoms = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

test('a rest is between the minimum and the maximum after any number of misses', () => {
  fc.assert(
    fc.property(misses, limits, randoms, (missed, { minMs, maxMs }, random) => {
      const restMs = backoffMs(missed, { minMs, maxMs }, random);
      expect(restMs).toBeGreaterThanOrEqual(minMs);
      expect(restMs).toBeLessThanOrEqual(maxMs);
    }),
  );
});

test('the longest possible rest doubles with each miss, up to the maximum', () => {
  const longest = [1, 2, 3, 4, 5].map((missed) => backoffMs(missed, { minMs: 100, maxMs: 1000 }, 1));
  expect(longest).toEqual([200, 400, 800, 1000, 1000]);
});

test('with the smallest random number, every rest has the minimum length', () => {
  expect([1, 7, 1000].map((missed) => backoffMs(missed, { minMs: 100, maxMs: 1000 }, 0))).toEqual([
    100, 100, 100,
  ]);
});
