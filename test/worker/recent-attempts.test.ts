import { expect, test } from 'vitest';

import { RecentAttempts } from '../../worker/host/recent-attempts.ts';
import { MovableClock } from '../support/movable-clock.ts';

test('attempts count for ten minutes', () => {
  const clock = new MovableClock();
  const attempts = new RecentAttempts(clock);
  attempts.record({ stored: 5, failed: 1 });
  clock.advance(599_999);
  attempts.record({ stored: 1, failed: 2 });
  expect(attempts.counts()).toEqual({ stored: 6, failed: 3 });
  clock.advance(1);
  expect(attempts.counts()).toEqual({ stored: 1, failed: 2 });
  clock.advance(600_000);
  expect(attempts.counts()).toEqual({ stored: 0, failed: 0 });
});
