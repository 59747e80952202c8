import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { WriteGuard } from '../../scaler/fleet/write-guard.ts';

test('the guard admits four writes at once, and the next one when the first is a minute old', () => {
  const guard = new WriteGuard();
  expect([0, 1_000, 2_000, 3_000].map((atMs) => guard.admit(atMs))).toEqual([0, 0, 0, 0]);
  expect(guard.admit(4_000)).toBe(56_000);
  expect(guard.admit(59_999)).toBe(1);
  expect(guard.admit(60_000)).toBe(0);
  expect(guard.admit(60_000)).toBe(1_000);
});

test('the guard admits no write while it is closed, and a shorter closure does not shorten it', () => {
  const guard = new WriteGuard();
  guard.closeFor(1_200_000, 0);
  guard.closeFor(10_000, 1_000);
  expect(guard.admit(200_000)).toBe(1_000_000);
  expect(guard.admit(1_200_000)).toBe(0);
});

test('the guard never admits more than four writes in a minute, and returns a sufficient wait', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 30_000 }), { maxLength: 200 }), (gapsMs) => {
      const guard = new WriteGuard();
      const writesAtMs: number[] = [];
      let nowMs = 0;
      for (const gapMs of gapsMs) {
        nowMs += gapMs;
        const lastMinute = writesAtMs.filter((at) => at > nowMs - 60_000);
        const waitMs = guard.admit(nowMs);
        expect(waitMs).toBe(lastMinute.length < 4 ? 0 : (lastMinute[0] ?? 0) + 60_000 - nowMs);
        if (waitMs === 0) writesAtMs.push(nowMs);
      }
      for (const fromMs of writesAtMs)
        expect(writesAtMs.filter((at) => at >= fromMs && at < fromMs + 60_000).length).toBeLessThan(5);
    }),
  );
});
