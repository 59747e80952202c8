import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { LeaseLostError, type ReceivedMessage, type WorkQueue } from '../../shared/azure/work-queue.ts';
import { systemClock } from '../../shared/runtime/clock.ts';
import { Lease } from '../../worker/lease.ts';
import { silentLog } from '../support/silent-log.ts';

const LEASE_SECONDS = 60;
const RENEW_EVERY_MS = 20_000;
const MESSAGE: ReceivedMessage = {
  messageId: 'm',
  popReceipt: 'receipt 0',
  dequeueCount: 1,
  insertedAt: new Date(0),
  text: 'batch',
};

/** A queue that answers every update with the next receipt, unless a test says otherwise. */
function fakeQueue() {
  let receipts = 0;
  const update = vi.fn<WorkQueue['update']>(() => Promise.resolve(`receipt ${(receipts += 1)}`));
  const remove = vi.fn<WorkQueue['remove']>(() => Promise.resolve());
  return { update, remove, receipts: () => update.mock.calls.map(([{ popReceipt }]) => popReceipt) };
}

function take({ queue = fakeQueue(), requestedAtMs = systemClock.monotonicMs() } = {}) {
  const listener = { renewed: vi.fn(), renewalFailed: vi.fn(), lost: vi.fn() };
  const lease = new Lease({
    queue: queue as unknown as WorkQueue,
    message: MESSAGE,
    requestedAtMs,
    timing: { leaseSeconds: LEASE_SECONDS, renewEveryMs: RENEW_EVERY_MS },
    clock: systemClock,
    log: silentLog,
    listener,
  });
  return { lease, queue, listener };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('a lease is renewed in time, each time with the newest receipt, for as long as it is held', async () => {
  const { lease, queue, listener } = take();
  await vi.advanceTimersByTimeAsync(10 * RENEW_EVERY_MS);
  expect(queue.receipts()).toEqual(Array.from({ length: 10 }, (_, renewals) => `receipt ${renewals}`));
  expect(queue.update).toHaveBeenLastCalledWith(expect.objectContaining({ messageId: 'm', text: 'batch' }), {
    visibilityTimeoutSeconds: LEASE_SECONDS,
  });
  expect(listener.renewed).toHaveBeenCalledTimes(10);
  expect([lease.state, lease.signal.aborted]).toEqual(['held', false]);
});

test('a batch is completed with the newest receipt, and then renewed no more', async () => {
  const { lease, queue } = take();
  await vi.advanceTimersByTimeAsync(RENEW_EVERY_MS);
  expect(await lease.complete()).toBe(true);
  expect(queue.remove).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ popReceipt: 'receipt 1' }));
  expect(vi.getTimerCount()).toBe(0);
  expect([lease.state, lease.signal.aborted]).toEqual(['settled', false]);
});

test('a release is one call with the new text and its delay', async () => {
  const { lease, queue } = take();
  expect(await lease.release({ text: 'batch, tried once', delaySeconds: 8 })).toBe(true);
  expect(queue.update).toHaveBeenCalledExactlyOnceWith(
    { ...MESSAGE, text: 'batch, tried once' },
    { visibilityTimeoutSeconds: 8 },
  );
  expect(queue.remove).not.toHaveBeenCalled();
  expect(lease.state).toBe('settled');
});

test('settling waits for a renewal that is on its way, and uses its receipt', async () => {
  const { lease, queue } = take();
  const answer = Promise.withResolvers<string>();
  queue.update.mockReturnValueOnce(answer.promise);
  await vi.advanceTimersByTimeAsync(RENEW_EVERY_MS);
  const completed = lease.complete();
  await vi.advanceTimersByTimeAsync(1000);
  expect(queue.remove).not.toHaveBeenCalled();
  answer.resolve('receipt of the renewal');
  expect(await completed).toBe(true);
  expect(queue.remove).toHaveBeenCalledExactlyOnceWith(
    expect.objectContaining({ popReceipt: 'receipt of the renewal' }),
  );
});

test('settling that takes long is not overtaken by a renewal', async () => {
  const { lease, queue } = take();
  const answer = Promise.withResolvers<void>();
  queue.remove.mockReturnValueOnce(answer.promise);
  const completed = lease.complete();
  await vi.advanceTimersByTimeAsync(2 * RENEW_EVERY_MS);
  answer.resolve();
  expect(await completed).toBe(true);
  expect(queue.update).not.toHaveBeenCalled();
});

test('a renewal that is refused loses the lease, and nothing is touched afterwards', async () => {
  const { lease, queue, listener } = take();
  queue.update.mockRejectedValueOnce(new LeaseLostError('404'));
  await vi.advanceTimersByTimeAsync(RENEW_EVERY_MS);
  expect(lease.signal.reason).toBeInstanceOf(LeaseLostError);
  expect([lease.state, lease.signal.aborted]).toEqual(['lost', true]);
  expect(await lease.complete()).toBe(false);
  expect(await lease.release({ text: 'x', delaySeconds: 0 })).toBe(false);
  lease.leave();
  await vi.advanceTimersByTimeAsync(10 * RENEW_EVERY_MS);
  expect(queue.update).toHaveBeenCalledOnce();
  expect(queue.remove).not.toHaveBeenCalled();
  expect(listener.lost).toHaveBeenCalledOnce();
  expect(lease.state).toBe('lost');
});

test('a renewal that fails for a moment is tried again, and the lease is kept', async () => {
  const { lease, queue, listener } = take();
  queue.update.mockRejectedValueOnce(new Error('ETIMEDOUT'));
  await vi.advanceTimersByTimeAsync(6 * RENEW_EVERY_MS);
  expect(listener.renewalFailed).toHaveBeenCalledOnce();
  expect(queue.receipts().slice(0, 3)).toEqual(['receipt 0', 'receipt 0', 'receipt 1']);
  expect([lease.state, listener.lost.mock.calls.length]).toEqual(['held', 0]);
});

test('renewals that fail until the time is over lose the lease, without anybody asking', async () => {
  const { lease, queue, listener } = take();
  queue.update.mockRejectedValue(new Error('ETIMEDOUT'));
  await vi.advanceTimersByTimeAsync(LEASE_SECONDS * 1000 - 1);
  expect([lease.state, lease.signal.aborted]).toEqual(['held', false]);
  await vi.advanceTimersByTimeAsync(1);
  expect(lease.signal.aborted).toBe(true);
  expect(await lease.complete()).toBe(false);
  expect(queue.update).toHaveBeenCalledTimes(2);
  expect(queue.remove).not.toHaveBeenCalled();
  expect(listener.lost).toHaveBeenCalledOnce();
});

test('the time runs from the start of the request that received the message, not from its answer', () => {
  const startedAtMs = systemClock.monotonicMs();
  vi.advanceTimersByTime(5000);
  const { lease } = take({ requestedAtMs: startedAtMs });
  vi.advanceTimersByTime(1);
  expect(lease.state).toBe('held');
  const late = take({ requestedAtMs: startedAtMs - LEASE_SECONDS * 1000 + 5000 });
  expect([late.lease.state, late.lease.signal.aborted]).toEqual(['lost', true]);
});

test('the time of a renewal runs from its start, however late its answer', async () => {
  const { lease, queue } = take();
  const answer = Promise.withResolvers<string>();
  queue.update.mockReturnValueOnce(answer.promise).mockRejectedValue(new Error('ETIMEDOUT'));
  await vi.advanceTimersByTimeAsync(RENEW_EVERY_MS + 15_000);
  answer.resolve('receipt 1');
  await vi.advanceTimersByTimeAsync(LEASE_SECONDS * 1000 - 15_000 - 1);
  expect(lease.state).toBe('held');
  await vi.advanceTimersByTimeAsync(1);
  expect(lease.state).toBe('lost');
});

test.each([new LeaseLostError('404'), new Error('ETIMEDOUT')])(
  'a settling that fails (%s) may or may not have been done: the lease is lost',
  async (error) => {
    const { lease, queue } = take();
    queue.remove.mockRejectedValueOnce(error);
    expect(await lease.complete()).toBe(false);
    expect([lease.state, lease.signal.aborted]).toEqual(['lost', true]);
    expect(await lease.release({ text: 'x', delaySeconds: 0 })).toBe(false);
    expect(queue.update).not.toHaveBeenCalled();
  },
);

test('a lease is settled once', async () => {
  const { lease, queue } = take();
  await lease.complete();
  await expect(lease.release({ text: 'x', delaySeconds: 0 })).rejects.toThrow('settled once');
  expect(queue.update).not.toHaveBeenCalled();
});

test('a message that is left is renewed no more and not touched, and its lease does not count as lost', async () => {
  const { lease, queue, listener } = take();
  const answer = Promise.withResolvers<string>();
  queue.update.mockReturnValueOnce(answer.promise);
  await vi.advanceTimersByTimeAsync(RENEW_EVERY_MS);
  lease.leave();
  answer.reject(new LeaseLostError('another has it'));
  await vi.advanceTimersByTimeAsync(10 * RENEW_EVERY_MS);
  take().lease.leave();
  expect(vi.getTimerCount()).toBe(0);
  expect([queue.update.mock.calls.length, queue.remove.mock.calls, listener.lost.mock.calls]).toEqual([
    1,
    [],
    [],
  ]);
  expect([lease.state, lease.signal.aborted]).toEqual(['settled', false]);
});
