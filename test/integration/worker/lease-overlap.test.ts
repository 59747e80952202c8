/** Settling while a renewal is in progress. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import type { WorkQueue } from '../../../shared/azure/work-queue.ts';
import { systemClock } from '../../../shared/runtime/clock.ts';
import { eventually } from '../../support/eventually.ts';
import { mustHoldLease } from '../../support/hold-lease.ts';
import { type TestStorage, startTestStorage } from '../../support/servers.ts';
import { openTestQueue } from '../../support/test-queue.ts';

let storage: TestStorage;
let queue: WorkQueue;

beforeAll(async () => {
  storage = await startTestStorage();
});
afterAll(() => storage[Symbol.asyncDispose]());
beforeEach(async () => {
  queue = (await openTestQueue(storage, 'frame-batches')).queue;
});

test('a renewal in progress when settling starts is the last, however long settling takes', async () => {
  await queue.send('bWVzc2FnZQ==');
  let updates = 0;
  const slow: WorkQueue = {
    ...queue,
    update: (...call) => {
      updates += 1;
      return queue.update(...call);
    },
    remove: async (...call) => {
      await systemClock.sleep(300);
      return queue.remove(...call);
    },
  };
  const { lease, notes } = await mustHoldLease(slow, { leaseSeconds: 60, renewEveryMs: 20 });
  await eventually('a renewal is under way', () => updates > notes.renewed);
  const updatesBefore = updates;
  expect(await lease.complete()).toBe(true);
  expect(updates).toBe(updatesBefore);
  expect([lease.state, lease.signal.aborted, notes.lost]).toEqual(['settled', false, 0]);
  expect(await queue.countApprox()).toBe(0);
});

test('a lease whose renewals get no answer is lost at its deadline, and its signal is aborted', async () => {
  await queue.send('bWVzc2FnZQ==');
  const silent: WorkQueue = { ...queue, update: () => new Promise<never>(() => undefined) };
  const heldSinceMs = systemClock.monotonicMs();
  const { lease } = await mustHoldLease(silent, { leaseSeconds: 1, renewEveryMs: 100 });
  await eventually('the signal is aborted', () => lease.signal.aborted, { boundMs: 10_000 });
  expect(systemClock.monotonicMs() - heldSinceMs).toBeGreaterThan(950);
});
