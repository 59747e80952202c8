import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { frameTimes } from '../../../producer/media/frame-times.ts';

const timeBases = fc.constantFrom(
  [1, 25],
  [1, 1000],
  [1001, 30_000],
  [1, 90_000],
  [1, 14_112_000],
  [1, 10_000_000],
);

test('timestamps map back to their ticks, shifted to zero if the source starts below zero', () => {
  fc.assert(
    fc.property(
      timeBases,
      fc.uniqueArray(fc.integer({ min: -1_000_000, max: 1_000_000_000 }), { minLength: 1, maxLength: 50 }),
      ([numerator = 1, denominator = 1], ticks) => {
        const pts = ticks.toSorted((a, b) => a - b);
        const times = frameTimes({ timeBase: { numerator, denominator }, pts: Float64Array.from(pts) });
        const shiftTicks = Math.max(0, -(pts[0] ?? 0));
        expect(Number(times.shiftMicroseconds)).toBeCloseTo((shiftTicks * numerator * 1e6) / denominator, -1);
        for (const [index, tick] of pts.entries()) {
          const nanoseconds = times.nanosecondsAt(index);
          expect(nanoseconds >= 0n).toBe(true);
          const found = (Number(nanoseconds) * denominator) / (numerator * 1e9);
          expect(Math.abs(found - (tick + shiftTicks))).toBeLessThan(0.01);
        }
      },
    ),
  );
});

test('timestamps are not shifted if the source starts at or above zero', () => {
  const times = frameTimes({
    timeBase: { numerator: 1001, denominator: 30_000 },
    pts: Float64Array.of(1, 2),
  });
  expect(times.shiftMicroseconds).toBe(0n);
  expect(times.nanosecondsAt(0)).toBe(33_366_667n);
});

test('nanosecondsAt throws for a frame that is not in the timeline', () => {
  const times = frameTimes({ timeBase: { numerator: 1, denominator: 25 }, pts: Float64Array.of(0) });
  expect(() => times.nanosecondsAt(1)).toThrow(RangeError);
});
