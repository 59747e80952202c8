import { expect, test } from 'vitest';

import { systemClock as clock } from '../../../shared/runtime/clock.ts';
import { within } from '../../../shared/runtime/within.ts';

const never = (): Promise<never> => new Promise(() => undefined);

test('within passes on the result and the error of work that ends in time', async () => {
  expect(await within(() => Promise.resolve(5), { clock, boundMs: 10_000 })).toBe(5);
  const failure = new Error('no');
  await expect(within(() => Promise.reject(failure), { clock, boundMs: 10_000 })).rejects.toBe(failure);
});

test('within rejects when the bound is over, and aborts the signal of the work', async () => {
  let received: AbortSignal | undefined;
  const work = (signal: AbortSignal): Promise<never> => {
    received = signal;
    return never();
  };
  await expect(within(work, { clock, boundMs: 10 })).rejects.toThrow(/no answer within 10 ms/);
  expect(received?.aborted).toBe(true);
});

test('within rejects at once with the reason of an aborted signal, and does not start the work', async () => {
  const stopping = new AbortController();
  const { signal } = stopping;
  const waiting = within(never, { clock, boundMs: 60_000, signal });
  const reason = new Error('stopping');
  stopping.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  let isStarted = false;
  const start = () => {
    isStarted = true;
    return Promise.resolve();
  };
  await expect(within(start, { clock, boundMs: 60_000, signal })).rejects.toBe(reason);
  expect(isStarted).toBe(false);
});

test('work that fails after the bound causes no unhandled rejection', async () => {
  const { promise, reject } = Promise.withResolvers<never>();
  await expect(within(() => promise, { clock, boundMs: 5 })).rejects.toThrow(/no answer/);
  reject(new Error('late'));
  await expect(promise).rejects.toThrow('late');
});
