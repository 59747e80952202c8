import { expect, test } from 'vitest';

import { TransientError } from '../../../shared/runtime/errors.ts';
import { createHttp } from '../../../shared/runtime/http.ts';
import { LoopHealth } from '../../../shared/runtime/loop-health.ts';
import { createRegistry } from '../../../shared/runtime/metrics.ts';
import { repeat } from '../../../shared/runtime/repeat.ts';
import { MovableClock } from '../../support/movable-clock.ts';
import { silentLog } from '../../support/silent-log.ts';

const MINUTE_MS = 60_000;

/** A loop on a clock that moves with its rests; `pass` is called until it returns false. */
async function loop(pass: (health: LoopHealth, clock: MovableClock) => boolean): Promise<LoopHealth> {
  const clock = new MovableClock();
  const health = new LoopHealth(clock);
  const stopping = new AbortController();
  const fail = (): Promise<number> => {
    if (!pass(health, clock)) stopping.abort();
    return Promise.reject(new TransientError('STORAGE_UNAVAILABLE', 'away'));
  };
  await repeat({ name: 'test', clock, log: silentLog, signal: stopping.signal, health, pass: fail });
  return health;
}

test('a loop that fails for less than five minutes is alive, and one that goes on failing is not', async () => {
  let deadAfterMs = 0;
  await loop((health, clock) => {
    const [trouble] = health.troubles();
    if (trouble === undefined) return true;
    expect(trouble).toMatchObject({ loop: 'test', what: 'every pass fails' });
    deadAfterMs = clock.monotonicMs();
    return false;
  });
  expect(deadAfterMs).toBeGreaterThanOrEqual(5 * MINUTE_MS);
  expect(deadAfterMs).toBeLessThan(6 * MINUTE_MS);
});

test('one pass that succeeds makes a failing loop alive again', () => {
  const clock = new MovableClock();
  const health = new LoopHealth(clock);
  health.failed('dispatch');
  clock.advance(6 * MINUTE_MS);
  health.failed('dispatch');
  expect(health.troubles()).toEqual([{ loop: 'dispatch', what: 'every pass fails', forSeconds: 360 }]);
  health.started('dispatch');
  health.succeeded('dispatch');
  expect(health.troubles()).toEqual([]);
});

test('a pass that does not end is told after half an hour, and no loop is troubled by another', () => {
  const clock = new MovableClock();
  const health = new LoopHealth(clock);
  health.started('intake');
  health.started('collect');
  clock.advance(29 * MINUTE_MS);
  health.succeeded('collect');
  expect(health.troubles()).toEqual([]);
  clock.advance(MINUTE_MS);
  expect(health.troubles()).toEqual([{ loop: 'intake', what: 'a pass does not end', forSeconds: 1800 }]);
});

test('a loop that has ended is no trouble', async () => {
  const health = await loop((_, clock) => clock.monotonicMs() < 10 * MINUTE_MS);
  expect(health.troubles()).toEqual([]);
});

test('the liveness probe answers 503 and names the loop that gets nowhere', async () => {
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
