/** A lease on the next message of a queue, and counts of its renewals and losses. */
import type { WorkQueue } from '../../shared/azure/work-queue.ts';
import { systemClock } from '../../shared/runtime/clock.ts';
import { Lease, type LeaseTiming } from '../../worker/delivery/lease.ts';
import { silentLog } from './silent-log.ts';

interface LeaseNotes {
  renewed: number;
  renewalFailed: number;
  lost: number;
}

/** Receives a message and holds it; undefined where there is none. */
export async function holdLease(queue: WorkQueue, timing: LeaseTiming) {
  const requestedAtMs = systemClock.monotonicMs();
  const message = await queue.receive({ visibilityTimeoutSeconds: timing.leaseSeconds });
  if (message === undefined) return undefined;
  const notes: LeaseNotes = { renewed: 0, renewalFailed: 0, lost: 0 };
  const lease = new Lease({
    queue,
    message,
    requestedAtMs,
    timing,
    clock: systemClock,
    log: silentLog,
    listener: {
      renewed: () => (notes.renewed += 1),
      renewalFailed: () => (notes.renewalFailed += 1),
      lost: () => (notes.lost += 1),
    },
  });
  return { lease, message, notes };
}

export async function mustHoldLease(queue: WorkQueue, timing: LeaseTiming) {
  const held = await holdLease(queue, timing);
  if (held === undefined) throw new Error(`expected a message on ${queue.name}, found none`);
  return held;
}
