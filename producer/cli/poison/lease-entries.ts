/**
 * Receives every message of the poison queue under a lease, because Azure peeks at the first 32 messages of a queue only. Messages
 * that were not removed are released when the command ends. If it is killed, they are visible again when their lease expires.
 */
import pLimit from 'p-limit';

import { LeaseLostError, type ReceivedMessage, type WorkQueue } from '../../../shared/azure/work-queue.ts';
import type { Clock } from '../../../shared/runtime/clock.ts';

/** Long enough to receive 10,000 messages and act on them. A killed command hides them for this time at most. */
export const POISON_LEASE_SECONDS = 120;
/** The most messages that the service returns in one call. */
const PAGE_MESSAGES = 32;
const CALLS_AT_ONCE = 32;
/** Enough to release 10,000 messages on Azure. Azurite is slower on a long queue: the remaining leases expire by themselves. */
const RELEASE_MS = 20_000;

export interface LeasedEntries extends AsyncDisposable {
  readonly messages: readonly ReceivedMessage[];
  /** Messages that another command has leased. */
  readonly hiddenApprox: number;
  /** Removes a message from the queue. Returns false if its lease has expired: then it stays. */
  remove(message: ReceivedMessage): Promise<boolean>;
}

/** Receives all messages. Disposing of the result releases those that have not been removed. */
export async function leaseEntries(
  poison: WorkQueue,
  clock: Clock,
  signal: AbortSignal,
): Promise<LeasedEntries> {
  const held = new Map<string, ReceivedMessage>();
  const releaseAll = async (): Promise<void> => {
    const limit = pLimit(CALLS_AT_ONCE);
    const stopAtMs = clock.monotonicMs() + RELEASE_MS;
    const release = (message: ReceivedMessage) =>
      limit(() => (clock.monotonicMs() < stopAtMs ? tryToRelease(poison, message) : undefined));
    await Promise.all([...held.values()].map(release));
  };
  try {
    for (;;) {
      signal.throwIfAborted();
      const page = await poison.receiveSeveral({
        max: PAGE_MESSAGES,
        visibilityTimeoutSeconds: POISON_LEASE_SECONDS,
        signal,
      });
      const known = held.size;
      // A message arrives twice if its first lease has expired. Only the newer receipt is valid.
      for (const message of page) held.set(message.messageId, message);
      if (held.size === known) break;
    }
    const messages = [...held.values()];
    return {
      messages,
      hiddenApprox: Math.max(0, (await poison.countApprox()) - messages.length),
      async remove(message) {
        held.delete(message.messageId);
        try {
          await poison.remove(message);
          return true;
        } catch (error) {
          if (!(error instanceof LeaseLostError)) throw error;
          return false;
        }
      },
      [Symbol.asyncDispose]: releaseAll,
    };
  } catch (error) {
    await releaseAll();
    throw error;
  }
}

/** Makes the message visible at once. If that fails, it is visible when its lease expires. */
async function tryToRelease(poison: WorkQueue, message: ReceivedMessage): Promise<void> {
  try {
    await poison.update(message, { visibilityTimeoutSeconds: 0 });
  } catch {
    // The lease has expired, or storage is unavailable.
  }
}
