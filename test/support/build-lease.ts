/** Builds a lease on a fake queue, for tests with fake timers. */
import { vi } from 'vitest';

import type { ReceivedMessage, WorkQueue } from '../../shared/azure/work-queue.ts';
import { systemClock } from '../../shared/runtime/clock.ts';
import { Lease } from '../../worker/delivery/lease.ts';
import { silentLog } from './silent-log.ts';

export const LEASE_SECONDS = 60;
export const RENEW_EVERY_MS = 20_000;
export const LEASED: ReceivedMessage = {
  messageId: 'm',
  popReceipt: 'receipt 0',
  dequeueCount: 1,
  insertedAt: new Date(0),
  text: 'batch',
};

/** Answers every update with the next receipt, unless a test mocks it otherwise. */
function fakeQueue() {
  let receipts = 0;
  const update = vi.fn<WorkQueue['update']>(() => Promise.resolve(`receipt ${(receipts += 1)}`));
  const remove = vi.fn<WorkQueue['remove']>(() => Promise.resolve());
  return { update, remove, receipts: () => update.mock.calls.map(([{ popReceipt }]) => popReceipt) };
}

/** With fake timers, the system clock is fake too. */
export function buildLease({ requestedAtMs = systemClock.monotonicMs() } = {}) {
  const queue = fakeQueue();
  const listener = { renewed: vi.fn(), renewalFailed: vi.fn(), lost: vi.fn() };
  const lease = new Lease({
    queue: queue as unknown as WorkQueue,
    message: LEASED,
    requestedAtMs,
    timing: { leaseSeconds: LEASE_SECONDS, renewEveryMs: RENEW_EVERY_MS },
    clock: systemClock,
    log: silentLog,
    listener,
  });
  return { lease, queue, listener };
}
