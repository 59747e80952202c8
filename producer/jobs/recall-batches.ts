/**
 * Takes the messages of paused and cancelled jobs off the queue, so that no instance is started or kept for them.
 *
 * A queue cannot be searched: messages are received, and those of other jobs are put back. Their history records this delivery as a
 * release, so that it does not look like a worker that died.
 */
import type { WorkQueue } from '../../shared/azure/work-queue.ts';
import {
  batchMessage,
  decodeMessage,
  encodeMessage,
  releasedUnstarted,
} from '../../shared/contract/messages.ts';
import type { Log } from '../../shared/runtime/log.ts';

const RECEIVED_AT_ONCE = 32;
/** Longer than it takes to put 32 messages back. */
const LEASE_SECONDS = 60;
/** Messages that arrive meanwhile. */
const MORE_MESSAGES = 64;

/** Returns how many messages were removed. Messages that a worker has, or that are delayed, are not seen: workers drop those. */
export async function recallBatches(
  { batches, log }: { readonly batches: WorkQueue; readonly log: Log },
  isRecalled: (jobId: string) => boolean,
): Promise<number> {
  const putBack = new Set<string>();
  let removed = 0;
  const most = (await batches.countApprox()) + MORE_MESSAGES;
  for (let seen = 0; seen < most;) {
    const messages = await batches.receiveSeveral({
      max: RECEIVED_AT_ONCE,
      visibilityTimeoutSeconds: LEASE_SECONDS,
    });
    if (messages.length === 0) break;
    seen += messages.length;
    const isSecondRound = messages.every(({ messageId }) => putBack.has(messageId));
    await Promise.all(
      messages.map(async (message) => {
        const decoded = decodeMessage(message.text, batchMessage);
        const batch = decoded.kind === 'valid' ? decoded.message : undefined;
        if (batch !== undefined && isRecalled(batch.jobId)) {
          await batches.remove(message);
          removed += 1;
          return;
        }
        putBack.add(message.messageId);
        const text =
          batch === undefined
            ? message.text
            : encodeMessage({ ...batch, history: releasedUnstarted(batch.history) });
        await batches.update({ ...message, text }, { visibilityTimeoutSeconds: 0 });
      }),
    ).catch((error: unknown) =>
      log.warn({ error }, 'messages not put back: they return when their leases end'),
    );
    if (isSecondRound) break;
  }
  return removed;
}
