import { expect, test } from 'vitest';

import { BusyTime } from '../../worker/delivery/busy-time.ts';

test('deliveries that overlap add up to the time in which the worker was busy', () => {
  const time = new BusyTime();
  expect(time.count(1000, 31_000)).toBe(30_000);
  // Received while the one before was encoded.
  expect(time.count(29_000, 60_000)).toBe(29_000);
  // After an hour without work.
  expect(time.count(3_660_000, 3_690_000)).toBe(30_000);
  // One that ended before the one that was received later.
  expect(time.count(3_600_000, 3_690_000)).toBe(0);
});
