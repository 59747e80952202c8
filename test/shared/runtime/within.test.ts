import { expect, test } from 'vitest';

import { systemClock as clock } from '../../../shared/runtime/clock.ts';
import { within } from '../../../shared/runtime/within.ts';

const forEver = (): Promise<never> => new Promise(() => undefined);

test('an answer in time is the answer, and a failure the failure', async () => {
  expect(await within(() => Promise.resolve(5), { clock, boundMs: 10_000 })).toBe(5);
  const failure = new Error('no');
  await expect(within(() => Promise.reject(failure), { clock, boundMs: 10_000 })).rejects.toBe(failure);
});

test('what never answers is given up when the bound is over, and told to stop', async () => {
  let told: AbortSignal | undefined;
  const work = (signal: AbortSignal): Promise<never> => {
    told = signal;
    return forEver();
  };
  await expect(within(work, { clock, boundMs: 10 })).rejects.toThrow(/no answer within 10 ms/);
  expect(told?.aborted).toBe(true);
});

test('whoever is stopped gives the reason at once, and begins nothing after that', async () => {
  const stopping = new AbortController();
  const { signal } = stopping;
  const waiting = within(forEver, { clock, boundMs: 60_000, signal });
  const reason = new Error('stopping');
  stopping.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  let isBegun = false;
  const begin = () => {
    isBegun = true;
    return Promise.resolve();
  };
  await expect(within(begin, { clock, boundMs: 60_000, signal })).rejects.toBe(reason);
  expect(isBegun).toBe(false);
});

test('work that fails after it was given up troubles nobody', async () => {
  const { promise, reject } = Promise.withResolvers<never>();
  await expect(within(() => promise, { clock, boundMs: 5 })).rejects.toThrow(/no answer/);
  reject(new Error('late'));
  await expect(promise).rejects.toThrow('late');
});
