import { expect, test } from 'vitest';

import { PermanentError, TransientError } from '../../../shared/runtime/errors.ts';
import { repeat } from '../../../shared/runtime/repeat.ts';
import { MovableClock } from '../../support/movable-clock.ts';
import { silentLog } from '../../support/silent-log.ts';

/** Runs these passes in order, then stops. Returns how long the loop rested after each pass. */
async function restsOf(passes: readonly (() => Promise<number>)[]): Promise<number[]> {
  const clock = new MovableClock();
  const stopping = new AbortController();
  const startedAtMs: number[] = [];
  const pass = (): Promise<number> => {
    const next = passes[startedAtMs.length];
    startedAtMs.push(clock.monotonicMs());
    if (next !== undefined) return next();
    stopping.abort();
    return Promise.resolve(0);
  };
  await repeat({ name: 'test', clock, log: silentLog, signal: stopping.signal, pass });
  return startedAtMs.slice(1).map((atMs, index) => atMs - (startedAtMs[index] ?? 0));
}

const succeed = (restMs: number) => () => Promise.resolve(restMs);
const fail = () => Promise.reject(new TransientError('STORAGE_UNAVAILABLE', 'temporary fault'));

test('a loop rests as long as each pass returns', async () => {
  expect(await restsOf([succeed(200), succeed(0), succeed(30_000)])).toEqual([200, 0, 30_000]);
});

test('a failed pass is repeated after a rest that grows up to a limit', async () => {
  const rests = await restsOf([...Array.from({ length: 40 }, () => fail), succeed(7)]);
  expect(rests).toHaveLength(41);
  const [first = 0, ...others] = rests;
  expect(first).toBeGreaterThanOrEqual(250);
  expect(first).toBeLessThanOrEqual(500);
  expect(Math.max(...others)).toBeGreaterThan(500);
  expect(Math.max(...others)).toBeLessThanOrEqual(15_000);
  expect(rests.at(-1)).toBe(7);
});

test('a pass that succeeds resets the back-off', async () => {
  const rests = await restsOf(
    Array.from({ length: 60 }, (_, index) => (index % 3 === 2 ? succeed(1) : fail)),
  );
  const afterSuccess = rests.filter((_, index) => index % 3 === 0);
  expect(afterSuccess).toHaveLength(20);
  expect(Math.max(...afterSuccess)).toBeLessThanOrEqual(500);
});

test('a PermanentError ends the loop', async () => {
  const error = new PermanentError('CONFIG_INVALID', 'permanent fault');
  await expect(restsOf([fail, () => Promise.reject(error), succeed(0)])).rejects.toBe(error);
});

test('a loop whose signal is aborted makes no pass', async () => {
  let passes = 0;
  const pass = () => {
    passes += 1;
    return Promise.resolve(0);
  };
  await repeat({
    name: 'test',
    clock: new MovableClock(),
    log: silentLog,
    signal: AbortSignal.abort(),
    pass,
  });
  expect(passes).toBe(0);
});

test('an error of a pass after the signal is aborted is ignored', async () => {
  const stopping = new AbortController();
  const pass = () => {
    stopping.abort();
    return Promise.reject(new PermanentError('INTERNAL', 'cut short'));
  };
  const loop = repeat({
    name: 'test',
    clock: new MovableClock(),
    log: silentLog,
    signal: stopping.signal,
    pass,
  });
  await expect(loop).resolves.toBeUndefined();
});
