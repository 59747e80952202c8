import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { LeaseLostError, type WorkQueue } from '../../../shared/azure/work-queue.ts';
import { systemClock } from '../../../shared/runtime/clock.ts';
import { eventually } from '../../support/eventually.ts';
import { mustHoldLease } from '../../support/hold-lease.ts';
import { type TestStorage, startTestStorage } from '../../support/servers.ts';
import { type TestQueue, mustReceive, openTestQueue } from '../../support/test-queue.ts';

/** Longer than any test: such a lease is never renewed. */
const NEVER_MS = 3_600_000;
const TEXT = 'bWVzc2FnZQ==';

let storage: TestStorage;
let opened: TestQueue;
let queue: WorkQueue;

beforeAll(async () => {
  storage = await startTestStorage();
});
afterAll(() => storage[Symbol.asyncDispose]());
beforeEach(async () => {
  opened = await openTestQueue(storage, 'frame-batches');
  queue = opened.queue;
});

test('a renewed lease is held for longer than its first visibility time-out', async () => {
  await queue.send(TEXT);
  const timing = { leaseSeconds: 3, renewEveryMs: 300 };
  const heldSinceMs = systemClock.monotonicMs();
  const { lease, notes } = await mustHoldLease(queue, timing);
  await eventually('twice its length is over', async () => {
    expect(await queue.receive({ visibilityTimeoutSeconds: 60 })).toBeUndefined();
    return systemClock.monotonicMs() - heldSinceMs > 2 * timing.leaseSeconds * 1000;
  });
  expect(lease.state).toBe('held');
  expect(lease.signal.aborted).toBe(false);
  expect(notes.renewed).toBeGreaterThan(3);
  expect(await lease.complete()).toBe(true);
  expect([lease.state, notes.lost]).toEqual(['settled', 0]);
  expect(await queue.countApprox()).toBe(0);
});

test('a lease whose message is deleted is lost: its signal is aborted and nothing is touched', async () => {
  await queue.send(TEXT);
  const { lease, notes } = await mustHoldLease(queue, { leaseSeconds: 60, renewEveryMs: 50 });
  await opened.clear();
  const reason = await eventually(
    'the signal is aborted',
    () => lease.signal.aborted && (lease.signal.reason as unknown),
  );
  expect(reason).toBeInstanceOf(LeaseLostError);
  await queue.send('bmV4dA==');
  expect(await lease.complete()).toBe(false);
  expect(await lease.release({ text: TEXT, delaySeconds: 0 })).toBe(false);
  expect([lease.state, notes.lost]).toEqual(['lost', 1]);
  expect((await mustReceive(queue)).text).toBe('bmV4dA==');
});

test('settling a deleted message fails, and the lease is lost', async () => {
  for (const settle of ['complete', 'release'] as const) {
    await queue.send(TEXT);
    const { lease, notes } = await mustHoldLease(queue, { leaseSeconds: 60, renewEveryMs: NEVER_MS });
    await opened.clear();
    expect(lease.state).toBe('held');
    expect(
      await (settle === 'complete' ? lease.complete() : lease.release({ text: TEXT, delaySeconds: 0 })),
    ).toBe(false);
    expect([lease.state, lease.signal.aborted, notes.lost]).toEqual(['lost', true, 1]);
    expect(await queue.countApprox()).toBe(0);
  }
});

test('an expired lease does not touch a message that another worker has', async () => {
  await queue.send(TEXT);
  const { lease, notes } = await mustHoldLease(queue, { leaseSeconds: 1, renewEveryMs: NEVER_MS });
  const taken = await eventually('another receives it', () =>
    queue.receive({ visibilityTimeoutSeconds: 60 }),
  );
  expect(await lease.complete()).toBe(false);
  expect([lease.state, lease.signal.aborted, notes.lost]).toEqual(['lost', true, 1]);
  await queue.remove(taken);
});

test('an expired lease touches nothing, even if no other worker has the message yet', async () => {
  await queue.send(TEXT);
  const { lease, message, notes } = await mustHoldLease(queue, { leaseSeconds: 1, renewEveryMs: NEVER_MS });
  await eventually('its time is over', () => lease.state === 'lost');
  expect(await lease.release({ text: 'bGF0ZQ==', delaySeconds: 600 })).toBe(false);
  expect(await lease.complete()).toBe(false);
  expect([lease.signal.aborted, notes.lost]).toEqual([true, 1]);
  const next = await eventually('it comes back', () => queue.receive({ visibilityTimeoutSeconds: 60 }));
  expect(next).toMatchObject({ messageId: message.messageId, text: TEXT });
});

test('a released message is visible at once with its new text', async () => {
  await queue.send(TEXT);
  const { lease, message } = await mustHoldLease(queue, { leaseSeconds: 60, renewEveryMs: 20 });
  expect(await lease.release({ text: 'aGlzdG9yeQ==', delaySeconds: 0 })).toBe(true);
  expect(await mustReceive(queue)).toMatchObject({
    messageId: message.messageId,
    text: 'aGlzdG9yeQ==',
    dequeueCount: 2,
  });
});

test('a message released with a delay stays hidden for that time', async () => {
  await queue.send(TEXT);
  const { lease } = await mustHoldLease(queue, { leaseSeconds: 60, renewEveryMs: NEVER_MS });
  const releasedAtMs = systemClock.monotonicMs();
  await lease.release({ text: TEXT, delaySeconds: 1 });
  await eventually('it is shown', () => queue.receive({ visibilityTimeoutSeconds: 60 }));
  expect(systemClock.monotonicMs() - releasedAtMs).toBeGreaterThan(950);
});

test('a lease that is left is not renewed, and the message becomes visible again', async () => {
  await queue.send(TEXT);
  const { lease, message, notes } = await mustHoldLease(queue, { leaseSeconds: 2, renewEveryMs: 100 });
  await eventually('it was renewed', () => notes.renewed > 2);
  lease.leave();
  expect(lease.state).toBe('settled');
  const next = await eventually('it comes back', () => queue.receive({ visibilityTimeoutSeconds: 60 }));
  expect(next).toMatchObject({ messageId: message.messageId, text: TEXT, dequeueCount: 2 });
  expect([lease.signal.aborted, notes.lost]).toEqual([false, 0]);
});

test('a lease cannot be settled twice', async () => {
  await queue.send(TEXT);
  const { lease } = await mustHoldLease(queue, { leaseSeconds: 60, renewEveryMs: NEVER_MS });
  await lease.complete();
  await expect(lease.complete()).rejects.toThrow('settled once');
});
