/** How a lease is lost, and what must not be touched after that. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { LeaseLostError } from '../../shared/azure/work-queue.ts';
import { systemClock } from '../../shared/runtime/clock.ts';
import { LEASE_SECONDS, RENEW_EVERY_MS, buildLease } from '../support/build-lease.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('a refused renewal loses the lease, and nothing is touched after that', async () => {
  const { lease, queue, listener } = buildLease();
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

test('a failed renewal is retried, and the lease is kept', async () => {
  const { lease, queue, listener } = buildLease();
  queue.update.mockRejectedValueOnce(new Error('ETIMEDOUT'));
  await vi.advanceTimersByTimeAsync(6 * RENEW_EVERY_MS);
  expect(listener.renewalFailed).toHaveBeenCalledOnce();
  expect(queue.receipts().slice(0, 3)).toEqual(['receipt 0', 'receipt 0', 'receipt 1']);
  expect([lease.state, listener.lost.mock.calls.length]).toEqual(['held', 0]);
});

test('a lease whose renewals fail until its deadline is lost without a read of its state', async () => {
  const { lease, queue, listener } = buildLease();
  queue.update.mockRejectedValue(new Error('ETIMEDOUT'));
  await vi.advanceTimersByTimeAsync(LEASE_SECONDS * 1000 - 1);
  expect([lease.state, lease.signal.aborted]).toEqual(['held', false]);
  await vi.advanceTimersByTimeAsync(1);
  expect(lease.signal.aborted).toBe(true);
  expect(await lease.complete()).toBe(false);
  // Retries become more frequent towards the deadline, but stay bounded.
  expect(queue.update.mock.calls.length).toBeGreaterThan(3);
  expect(queue.update.mock.calls.length).toBeLessThan(15);
  expect(queue.remove).not.toHaveBeenCalled();
  expect(listener.lost).toHaveBeenCalledOnce();
});

test('the lease runs from the start of the request that received the message, not from its answer', () => {
  const startedAtMs = systemClock.monotonicMs();
  vi.advanceTimersByTime(5000);
  const { lease } = buildLease({ requestedAtMs: startedAtMs });
  vi.advanceTimersByTime(1);
  expect(lease.state).toBe('held');
  const late = buildLease({ requestedAtMs: startedAtMs - LEASE_SECONDS * 1000 + 5000 });
  expect([late.lease.state, late.lease.signal.aborted]).toEqual(['lost', true]);
});

test('a renewed lease runs from the start of the renewal, however late its answer', async () => {
  const { lease, queue } = buildLease();
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
  'a failed settling (%s) may have been carried out, so the lease is lost',
  async (error) => {
    const { lease, queue } = buildLease();
    queue.remove.mockRejectedValueOnce(error);
    expect(await lease.complete()).toBe(false);
    expect([lease.state, lease.signal.aborted]).toEqual(['lost', true]);
    expect(await lease.release({ text: 'x', delaySeconds: 0 })).toBe(false);
    expect(queue.update).not.toHaveBeenCalled();
  },
);
