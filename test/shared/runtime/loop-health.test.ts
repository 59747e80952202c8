import { expect, test } from 'vitest';

import { TransientError } from '../../../shared/runtime/errors.ts';
import { createHttp } from '../../../shared/runtime/http.ts';
import { LoopHealth } from '../../../shared/runtime/loop-health.ts';
import { createRegistry } from '../../../shared/runtime/metrics.ts';
import { repeat } from '../../../shared/runtime/repeat.ts';
import { MovableClock } from '../../support/movable-clock.ts';
import { silentLog } from '../../support/silent-log.ts';

const MINUTE_MS = 60_000;

/** Runs a loop whose passes fail, on a clock that advances with its rests, until `pass` returns false. */
async function failingLoop(pass: (health: LoopHealth, clock: MovableClock) => boolean): Promise<LoopHealth> {
  const clock = new MovableClock();
  const health = new LoopHealth(clock);
  const stopping = new AbortController();
  const fail = (): Promise<number> => {
    if (!pass(health, clock)) stopping.abort();
    return Promise.reject(new TransientError('STORAGE_UNAVAILABLE', 'temporary fault'));
  };
  await repeat({ name: 'test', clock, log: silentLog, signal: stopping.signal, health, pass: fail });
  return health;
}

test('a loop is stuck after it has failed for five minutes', async () => {
  let stuckAfterMs = 0;
  await failingLoop((health, clock) => {
    const [stuck] = health.stuckLoops();
    if (stuck === undefined) return true;
    expect(stuck).toMatchObject({ loop: 'test', what: 'every pass fails' });
    stuckAfterMs = clock.monotonicMs();
    return false;
  });
  expect(stuckAfterMs).toBeGreaterThanOrEqual(5 * MINUTE_MS);
  expect(stuckAfterMs).toBeLessThan(6 * MINUTE_MS);
});

test('a pass that succeeds ends the stuck state of a loop', () => {
  const clock = new MovableClock();
  const health = new LoopHealth(clock);
  health.failed('dispatch');
  clock.advance(6 * MINUTE_MS);
  health.failed('dispatch');
  expect(health.stuckLoops()).toEqual([{ loop: 'dispatch', what: 'every pass fails', forSeconds: 360 }]);
  health.started('dispatch');
  health.succeeded('dispatch');
  expect(health.stuckLoops()).toEqual([]);
});

test('a loop is stuck when a pass takes half an hour, and other loops are not affected', () => {
  const clock = new MovableClock();
  const health = new LoopHealth(clock);
  health.started('intake');
  health.started('collect');
  clock.advance(29 * MINUTE_MS);
  health.succeeded('collect');
  expect(health.stuckLoops()).toEqual([]);
  clock.advance(MINUTE_MS);
  expect(health.stuckLoops()).toEqual([{ loop: 'intake', what: 'a pass does not end', forSeconds: 1800 }]);
});

test('a loop that has ended is not stuck', async () => {
  const health = await failingLoop((_, clock) => clock.monotonicMs() < 10 * MINUTE_MS);
  expect(health.stuckLoops()).toEqual([]);
});

test('the liveness probe returns 503 and names the stuck loop', async () => {
  const clock = new MovableClock();
  const health = new LoopHealth(clock);
  const http = createHttp({ registry: createRegistry(), health, isReady: () => true });
  health.failed('status');
  expect((await http.inject('/health/live')).statusCode).toBe(200);
  clock.advance(5 * MINUTE_MS);
  const answer = await http.inject('/health/live');
  expect(answer.statusCode).toBe(503);
  expect(answer.json()).toEqual({
    live: false,
    troubles: [{ loop: 'status', what: 'every pass fails', forSeconds: 300 }],
  });
  await http.close();
});
