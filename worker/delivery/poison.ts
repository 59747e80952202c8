/**
 * What goes to the poison queue: an entry for each reason that frames of a delivery were given up for, or for a message that is
 * no batch. Copied first, then told, then deleted by the caller: twice is better than never, and the id makes the second
 * harmless.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import type { ReceivedMessage, WorkQueue } from '../../shared/azure/work-queue.ts';
import { poisonBodyBlob } from '../../shared/contract/blob-names.ts';
import { MESSAGE_JSON_BYTES_MAX } from '../../shared/contract/limits.ts';
import {
  type BatchMessage,
  MESSAGE_VERSION,
  type PoisonMessage,
  type PoisonReason,
  cutText,
  encodeMessage,
} from '../../shared/contract/messages.ts';
import { toRanges } from '../../shared/contract/ranges.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import type { WorkerMetrics } from '../metrics.ts';
import type { GivenUp } from './settle.ts';

/** Room for everything but the body. A body's characters may each take six when JSON has escaped them. */
const ENTRY_BYTES_MAX = 16 * 1024;
const BODY_JSON_BYTES_MAX = MESSAGE_JSON_BYTES_MAX - ENTRY_BYTES_MAX;

export interface PoisonParts {
  readonly poison: WorkQueue;
  readonly blobs: BlobStore;
  readonly workerId: string;
  readonly clock: Clock;
  readonly metrics: WorkerMetrics;
}

type Entry = Pick<PoisonMessage, 'reason' | 'message' | 'batch' | 'attempts'>;

/** A message that is no batch, or is for a release that never came. */
export async function poisonMessage(
  message: ReceivedMessage,
  { reason, why }: { readonly reason: Extract<PoisonReason, 'malformed' | 'too-new'>; readonly why: string },
  parts: PoisonParts,
): Promise<void> {
  await put(message, { reason, message: cutText(why), batch: null, attempts: 0 }, parts);
}

/** Frames that are given up, an entry for each reason. */
export async function poisonFrames(
  message: ReceivedMessage,
  { batch, givenUp }: { readonly batch: BatchMessage; readonly givenUp: readonly GivenUp[] },
  parts: PoisonParts,
): Promise<void> {
  const { jobId, batchIndex, model } = batch;
  for (const [reason, frames] of Map.groupBy(givenUp, ({ kind }) => kind)) {
    await put(
      message,
      {
        reason,
        message: cutText(frames[0]?.message ?? reason),
        batch: { jobId, batchIndex, model, frames: toRanges(frames.map(({ frameIndex }) => frameIndex)) },
        attempts: Math.max(...frames.map(({ attempts }) => attempts)),
      },
      parts,
    );
  }
}

async function put(message: ReceivedMessage, entry: Entry, parts: PoisonParts): Promise<void> {
  const { poison, blobs, workerId, clock, metrics } = parts;
  const id = `${message.messageId}-${entry.reason}`;
  const isSpilled = Buffer.byteLength(JSON.stringify(message.text)) > BODY_JSON_BYTES_MAX;
  if (isSpilled) await blobs.put('logs', poisonBodyBlob(id), message.text, { contentType: 'text/plain' });
  await poison.send(
    encodeMessage({
      version: MESSAGE_VERSION,
      id,
      ...entry,
      dequeueCount: message.dequeueCount,
      worker: workerId,
      insertedAt: message.insertedAt.toISOString(),
      poisonedAt: clock.now().toISOString(),
      body: isSpilled ? null : message.text,
    }),
  );
  metrics.poisoned.inc({ reason: entry.reason });
}
