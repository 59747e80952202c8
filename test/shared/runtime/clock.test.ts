import { expect, test } from 'vitest';

import { type Clock, rest, systemClock } from '../../../shared/runtime/clock.ts';

const AN_HOUR_MS = 3_600_000;

test('sleep rejects with the reason of an aborted signal', async () => {
  const controller = new AbortController();
  const reason = new Error('enough');
  const sleep = systemClock.sleep(AN_HOUR_MS, controller.signal);
  controller.abort(reason);
  await expect(sleep).rejects.toBe(reason);
  await expect(systemClock.sleep(AN_HOUR_MS, controller.signal)).rejects.toBe(reason);
});

test('rest returns early if the signal is aborted, even before it starts', async () => {
  const controller = new AbortController();
  const resting = rest(systemClock, AN_HOUR_MS, controller.signal);
  controller.abort(new Error('enough'));
  await expect(resting).resolves.toBeUndefined();
  await expect(rest(systemClock, AN_HOUR_MS, controller.signal)).resolves.toBeUndefined();
});

test('rest sleeps for the given duration', async () => {
  const slept: number[] = [];
  const clock: Clock = {
    ...systemClock,
    sleep: (durationMs) => {
      slept.push(durationMs);
      return Promise.resolve();
    },
  };
  await rest(clock, AN_HOUR_MS, new AbortController().signal);
  expect(slept).toEqual([AN_HOUR_MS]);
});

test('rest passes on an error of the clock', async () => {
  const clock: Clock = { ...systemClock, sleep: () => Promise.reject(new Error('no timers left')) };
  await expect(rest(clock, 1, new AbortController().signal)).rejects.toThrow('no timers left');
});
