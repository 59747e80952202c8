import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { BRISK, type RetryPolicy, briskWithin } from '../../../shared/azure/retry-policy.ts';

const longestMs = ({ tries, tryTimeoutMs, delayMaxMs }: RetryPolicy): number =>
  tries * tryTimeoutMs + (tries - 1) * delayMaxMs;

test('briskWithin fits two tries into any call time-out', () => {
  fc.assert(
    fc.property(fc.integer({ min: 100, max: 600_000 }), (callTimeoutMs) => {
      const policy = briskWithin(callTimeoutMs);
      expect(policy.tries).toBe(2);
      expect(policy.callTimeoutMs).toBeLessThanOrEqual(callTimeoutMs);
      expect(longestMs(policy)).toBeLessThanOrEqual(policy.callTimeoutMs);
    }),
  );
});

test('briskWithin returns BRISK if the call has more time than BRISK needs', () => {
  expect(briskWithin(60_000)).toEqual(BRISK);
});

test('a lease of 6 s leaves 1.5 s for a call: two tries of at least 0.6 s', () => {
  const { tryTimeoutMs } = briskWithin(1_500);
  expect(tryTimeoutMs).toBeGreaterThan(600);
  expect(tryTimeoutMs).toBeLessThan(750);
});
