/**
 * Takes chosen messages off a queue: batches of paused and cancelled jobs, so that no instance is started or kept for them, and poison
 * entries of frames that are retried and of jobs that are gone.
 *
 * A queue cannot be searched: every visible message is received, and those that were not chosen are put back.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import type { ReceivedMessage, WorkQueue } from '../../shared/azure/work-queue.ts';
import { poisonBodyBlob } from '../../shared/contract/blob-names.ts';
import {
  type PoisonMessage,
  batchMessage,
  decodeMessage,
  encodeMessage,
  poisonMessage,
  releasedUnstarted,
} from '../../shared/contract/messages.ts';
import type { Log } from '../../shared/runtime/log.ts';

const RECEIVED_AT_ONCE = 32;
/** Longer than it takes to put 32 messages back. */
const LEASE_SECONDS = 60;
/** Messages that arrive meanwhile. */
const MORE_MESSAGES = 64;

/**
 * Removes the batches of these jobs. The others are put back with a history that records this delivery as a release, so that it does not
 * look like a worker that died. Returns how many were removed. A batch that a worker holds, or that is delayed, is not seen: the worker
 * drops it.
 */
export async function recallBatches(
  { batches, log }: { readonly batches: WorkQueue; readonly log: Log },
  isRecalled: (jobId: string) => boolean,
): Promise<number> {
  return siftQueue(batches, log, ({ text }) => {
    const decoded = decodeMessage(text, batchMessage);
    if (decoded.kind !== 'valid') return text;
    const batch = decoded.message;
    if (isRecalled(batch.jobId)) return null;
    return encodeMessage({ ...batch, history: releasedUnstarted(batch.history) });
  });
}

/**
 * Removes entries of the poison queue, by the batch that they are about. Returns how many. An entry that another command holds is not
 * seen.
 */
export async function removeEntries(
  { poison, blobs, log }: { readonly poison: WorkQueue; readonly blobs: BlobStore; readonly log?: Log },
  isRemoved: (batch: NonNullable<PoisonMessage['batch']>) => boolean,
): Promise<number> {
  const bodies: string[] = [];
  const removed = await siftQueue(poison, log, ({ text }) => {
    const decoded = decodeMessage(text, poisonMessage);
    const entry = decoded.kind === 'valid' ? decoded.message : undefined;
    if (!entry?.batch || !isRemoved(entry.batch)) return text;
    if (entry.body === null) bodies.push(entry.id);
    return null;
  });
  for (const id of bodies) await blobs.remove('logs', poisonBodyBlob(id));
  return removed;
}

/** Receives every visible message once. `sift` returns the text to put back, or null to remove it. Returns how many were removed. */
async function siftQueue(
  queue: WorkQueue,
  log: Log | undefined,
  sift: (message: ReceivedMessage) => string | null,
): Promise<number> {
  const putBack = new Set<string>();
  let removed = 0;
  const most = (await queue.countApprox()) + MORE_MESSAGES;
  for (let seen = 0; seen < most;) {
    const messages = await queue.receiveSeveral({
      max: RECEIVED_AT_ONCE,
      visibilityTimeoutSeconds: LEASE_SECONDS,
    });
    if (messages.length === 0) break;
    seen += messages.length;
    const isSecondRound = messages.every(({ messageId }) => putBack.has(messageId));
    await Promise.all(
      messages.map(async (message) => {
        const text = sift(message);
        if (text === null) {
          await queue.remove(message);
          removed += 1;
          return;
        }
        putBack.add(message.messageId);
        await queue.update({ ...message, text }, { visibilityTimeoutSeconds: 0 });
      }),
    ).catch((error: unknown) =>
      log?.warn({ error }, 'messages not put back: they return when their leases end'),
    );
    if (isSecondRound) break;
  }
  return removed;
}
