import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { LeaseLostError } from '../../shared/azure/work-queue.ts';
import { LEASED, LEASE_SECONDS, RENEW_EVERY_MS, buildLease } from '../support/build-lease.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('a held lease is renewed in time, each time with the newest receipt', async () => {
  const { lease, queue, listener } = buildLease();
  await vi.advanceTimersByTimeAsync(10 * RENEW_EVERY_MS);
  expect(queue.receipts()).toEqual(Array.from({ length: 10 }, (_, renewals) => `receipt ${renewals}`));
  expect(queue.update).toHaveBeenLastCalledWith(expect.objectContaining({ messageId: 'm', text: 'batch' }), {
    visibilityTimeoutSeconds: LEASE_SECONDS,
  });
  expect(listener.renewed).toHaveBeenCalledTimes(10);
  expect([lease.state, lease.signal.aborted]).toEqual(['held', false]);
});

test('completing uses the newest receipt and ends the renewals', async () => {
  const { lease, queue } = buildLease();
  await vi.advanceTimersByTimeAsync(RENEW_EVERY_MS);
  expect(await lease.complete()).toBe(true);
  expect(queue.remove).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ popReceipt: 'receipt 1' }));
  expect(vi.getTimerCount()).toBe(0);
  expect([lease.state, lease.signal.aborted]).toEqual(['settled', false]);
});

test('releasing is one call with the new text and the delay', async () => {
  const { lease, queue } = buildLease();
  expect(await lease.release({ text: 'batch, tried once', delaySeconds: 8 })).toBe(true);
  expect(queue.update).toHaveBeenCalledExactlyOnceWith(
    { ...LEASED, text: 'batch, tried once' },
    { visibilityTimeoutSeconds: 8 },
  );
  expect(queue.remove).not.toHaveBeenCalled();
  expect(lease.state).toBe('settled');
});

test('settling waits for a renewal in progress and uses its receipt', async () => {
  const { lease, queue } = buildLease();
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

test('no renewal starts while settling is in progress', async () => {
  const { lease, queue } = buildLease();
  const answer = Promise.withResolvers<void>();
  queue.remove.mockReturnValueOnce(answer.promise);
  const completed = lease.complete();
  await vi.advanceTimersByTimeAsync(2 * RENEW_EVERY_MS);
  answer.resolve();
  expect(await completed).toBe(true);
  expect(queue.update).not.toHaveBeenCalled();
});

test('a lease cannot be settled twice', async () => {
  const { lease, queue } = buildLease();
  await lease.complete();
  await expect(lease.release({ text: 'x', delaySeconds: 0 })).rejects.toThrow('settled once');
  expect(queue.update).not.toHaveBeenCalled();
});

test('leaving a message ends the renewals, touches nothing, and does not count as a lost lease', async () => {
  const { lease, queue, listener } = buildLease();
  const answer = Promise.withResolvers<string>();
  queue.update.mockReturnValueOnce(answer.promise);
  await vi.advanceTimersByTimeAsync(RENEW_EVERY_MS);
  lease.leave();
  answer.reject(new LeaseLostError('another has it'));
  await vi.advanceTimersByTimeAsync(10 * RENEW_EVERY_MS);
  buildLease().lease.leave();
  expect(vi.getTimerCount()).toBe(0);
  expect([queue.update.mock.calls.length, queue.remove.mock.calls, listener.lost.mock.calls]).toEqual([
    1,
    [],
    [],
  ]);
  expect([lease.state, lease.signal.aborted]).toEqual(['settled', false]);
});

test('a noted text is written with the next renewal, and a saved text at once', async () => {
  const { lease, queue, listener } = buildLease();
  lease.setTextForNextRenewal('noted');
  expect(queue.update).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(RENEW_EVERY_MS);
  expect(await lease.save('saved')).toBe(true);
  const texts = queue.update.mock.calls.map(([{ text, popReceipt }]) => [text, popReceipt]);
  expect(texts).toEqual([
    ['noted', 'receipt 0'],
    ['saved', 'receipt 1'],
  ]);
  // Saving renews: the next renewal comes a whole interval later.
  await vi.advanceTimersByTimeAsync(RENEW_EVERY_MS - 1);
  expect(queue.update).toHaveBeenCalledTimes(2);
  await vi.advanceTimersByTimeAsync(1);
  expect(listener.renewed).toHaveBeenCalledTimes(3);
});

test('saving waits for a renewal in progress, and keeps the lease if storage fails', async () => {
  const { lease, queue } = buildLease();
  const answer = Promise.withResolvers<string>();
  queue.update.mockReturnValueOnce(answer.promise).mockRejectedValueOnce(new Error('ETIMEDOUT'));
  await vi.advanceTimersByTimeAsync(RENEW_EVERY_MS);
  const saved = lease.save('saved');
  await vi.advanceTimersByTimeAsync(1000);
  expect(queue.update).toHaveBeenCalledOnce();
  answer.resolve('receipt of the renewal');
  expect(await saved).toBe(false);
  expect(lease.state).toBe('held');
  await vi.advanceTimersByTimeAsync(RENEW_EVERY_MS);
  expect(queue.update).toHaveBeenLastCalledWith(
    expect.objectContaining({ popReceipt: 'receipt of the renewal', text: 'saved' }),
    expect.anything(),
  );
});

test('nothing is saved in a lost or settled message', async () => {
  const lost = buildLease();
  lost.queue.update.mockRejectedValueOnce(new LeaseLostError('another has it'));
  expect([await lost.lease.save('x'), await lost.lease.save('y')]).toEqual([false, false]);
  expect(lost.queue.update).toHaveBeenCalledOnce();
  const settled = buildLease();
  await settled.lease.complete();
  expect(await settled.lease.save('x')).toBe(false);
  expect(settled.queue.update).not.toHaveBeenCalled();
});
