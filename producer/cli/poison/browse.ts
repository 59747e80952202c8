/**
 * Looks through the poison queue. Azure shows the first 32 messages of a queue and no more; so all are received, under a lease,
 * and those that nothing is done with are given back. Killed in between, they come back by themselves when the lease is over.
 */
import pLimit from 'p-limit';

import { LeaseLostError, type ReceivedMessage, type WorkQueue } from '../../../shared/azure/work-queue.ts';
import type { Clock } from '../../../shared/runtime/clock.ts';

/** For reading 10,000 messages and acting on them; who is killed hides them for so long at most. */
export const LEASE_SECONDS = 120;
/** The most that the service gives at once. */
const PAGE = 32;
const CALLS_AT_ONCE = 32;
/** Enough for 10,000 messages on Azure. Azurite's calls take longer the more there are: the rest comes back by itself. */
const GIVE_BACK_MS = 20_000;

export interface Browsing extends AsyncDisposable {
  readonly messages: readonly ReceivedMessage[];
  /** On the queue, but not to be had now: another looks through it, or was killed while doing so. */
  readonly hiddenApprox: number;
  /** Takes a message off the queue. Where its lease is over, it stays: returns false. */
  remove(message: ReceivedMessage): Promise<boolean>;
}

/** Everything on the queue. What has not been removed is given back when this is disposed of. */
export async function browse(
  poison: WorkQueue,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<Browsing> {
  const held = new Map<string, ReceivedMessage>();
  const giveBack = async (): Promise<void> => {
    const limit = pLimit(CALLS_AT_ONCE);
    const stopAtMs = clock.monotonicMs() + GIVE_BACK_MS;
    const release = (message: ReceivedMessage) =>
      limit(() => (clock.monotonicMs() < stopAtMs ? tryToRelease(poison, message) : undefined));
    await Promise.all([...held.values()].map(release));
  };
  try {
    for (;;) {
      signal.throwIfAborted();
      const page = await poison.receiveSeveral({
        max: PAGE,
        visibilityTimeoutSeconds: LEASE_SECONDS,
        signal,
      });
      const known = held.size;
      // A message that comes twice has outlived its lease: the newer receipt is the one that counts.
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
      [Symbol.asyncDispose]: giveBack,
    };
  } catch (error) {
    await giveBack();
    throw error;
  }
}

/** A courtesy to whoever comes next: what cannot be given back comes back by itself. */
async function tryToRelease(poison: WorkQueue, message: ReceivedMessage): Promise<void> {
  try {
    await poison.update(message, { visibilityTimeoutSeconds: 0 });
  } catch {
    // Its lease is over, or storage has a bad moment.
  }
}
