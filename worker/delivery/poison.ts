/**
 * Entries on the poison queue: one for each reason that frames of a delivery are given up, and one for a message that no worker
 * can process.
 *
 * The entry is sent before the caller reports the failure and deletes the message. A worker that dies in between causes a second
 * entry with the same id, which readers treat as the same failure.
 */
import type { ReceivedMessage } from '../../shared/azure/work-queue.ts';
import { poisonBodyBlob } from '../../shared/contract/blob-names.ts';
import type { FailedFrame } from '../../shared/contract/failed-frame.ts';
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
import type { DeliveryServices } from './services.ts';

/** For everything but the body. */
const ENTRY_BYTES_MAX = 16 * 1024;
/** JSON may need six bytes for a character of the body. */
const BODY_JSON_BYTES_MAX = MESSAGE_JSON_BYTES_MAX - ENTRY_BYTES_MAX;

export interface RejectReason {
  readonly reason: Extract<PoisonReason, 'malformed' | 'too-new'>;
  /** For people. */
  readonly detail: string;
}

/** Sends an entry for a message that is malformed, or whose version is too new for every worker. */
export async function poisonRejectedMessage(
  message: ReceivedMessage,
  { reason, detail }: RejectReason,
  services: DeliveryServices,
): Promise<void> {
  const id = `${message.messageId}-${reason}`;
  await send(message, { id, reason, message: cutText(detail), batch: null, attempts: 0 }, services);
}

/** Sends an entry for each reason in `failed`. */
export async function poisonFrames(
  message: ReceivedMessage,
  batch: BatchMessage,
  failed: readonly FailedFrame[],
  services: DeliveryServices,
): Promise<void> {
  const { jobId, batchIndex, model } = batch;
  for (const [reason, frames] of Map.groupBy(failed, ({ kind }) => kind)) {
    await send(
      message,
      {
        id: `${message.messageId}-${reason}-${frames[0]?.frameIndex}`,
        reason,
        message: cutText(frames[0]?.message ?? reason),
        batch: { jobId, batchIndex, model, frames: toRanges(frames.map(({ frameIndex }) => frameIndex)) },
        attempts: Math.max(...frames.map(({ attempts }) => attempts)),
      },
      services,
    );
  }
}

async function send(
  message: ReceivedMessage,
  entry: Pick<PoisonMessage, 'id' | 'reason' | 'message' | 'batch' | 'attempts'>,
  { poison, blobs, workerId, clock, metrics }: DeliveryServices,
): Promise<void> {
  const { id } = entry;
  const isSpilled = Buffer.byteLength(JSON.stringify(message.text)) > BODY_JSON_BYTES_MAX;
  if (isSpilled) await blobs.put('logs', poisonBodyBlob(id), message.text, { contentType: 'text/plain' });
  await poison.send(
    encodeMessage({
      version: MESSAGE_VERSION,
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
