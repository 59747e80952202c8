import { expect, test } from 'vitest';

import { RecentAttempts } from '../../worker/host/recent-attempts.ts';
import { MovableClock } from '../support/movable-clock.ts';

test('attempts count for ten minutes, except failures that are the frame’s own fault', () => {
  const clock = new MovableClock();
  const attempts = new RecentAttempts(clock);
  attempts.record(5, ['undecodable', 'missing', 'engine']);
  clock.advance(599_999);
  attempts.record(1, ['inference', 'inference']);
  expect(attempts.counts()).toEqual({ stored: 6, failed: 3 });
  clock.advance(1);
  expect(attempts.counts()).toEqual({ stored: 1, failed: 2 });
  clock.advance(600_000);
  expect(attempts.counts()).toEqual({ stored: 0, failed: 0 });
});
