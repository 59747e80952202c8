/**
 * Puts a message aside: copied to the poison queue with its reason, then deleted by the caller. In that order: twice is
 * better than never, and the copy's id makes the second harmless.
 */
import type { ReceivedMessage, WorkQueue } from '../shared/azure/work-queue.ts';
import { MESSAGE_JSON_BYTES_MAX } from '../shared/contract/limits.ts';
import { MESSAGE_VERSION, cutText, encodeMessage } from '../shared/contract/messages.ts';
import type { Clock } from '../shared/runtime/clock.ts';

/** Room for everything but the body, and for the body's characters that JSON escapes. */
const BODY_CHARACTERS_MAX = (MESSAGE_JSON_BYTES_MAX - 2_048) / 6;

export async function copyToPoison({
  poison,
  message,
  reason,
  worker,
  clock,
}: {
  readonly poison: WorkQueue;
  readonly message: ReceivedMessage;
  readonly reason: string;
  readonly worker: string;
  readonly clock: Clock;
}): Promise<void> {
  const body = message.text.slice(0, BODY_CHARACTERS_MAX);
  await poison.send(
    encodeMessage({
      version: MESSAGE_VERSION,
      id: message.messageId,
      reason: cutText(reason),
      dequeueCount: message.dequeueCount,
      worker,
      insertedAt: message.insertedAt.toISOString(),
      poisonedAt: clock.now().toISOString(),
      body,
      bodyTruncated: body.length < message.text.length,
    }),
  );
}
