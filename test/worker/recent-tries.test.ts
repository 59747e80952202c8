import { expect, test } from 'vitest';

import { RecentTries } from '../../worker/host/recent-tries.ts';
import { MovableClock } from '../support/movable-clock.ts';

test('tries are counted for ten minutes, and what is the frame’s own fault is not counted', () => {
  const clock = new MovableClock();
  const tries = new RecentTries(clock);
  tries.record({ stored: 5, failedAs: ['undecodable', 'missing', 'engine'] });
  clock.advance(599_999);
  tries.record({ stored: 1, failedAs: ['inference', 'inference'] });
  expect(tries.counts()).toEqual({ stored: 6, failed: 3 });
  clock.advance(1);
  expect(tries.counts()).toEqual({ stored: 1, failed: 2 });
  clock.advance(600_000);
  expect(tries.counts()).toEqual({ stored: 0, failed: 0 });
});
