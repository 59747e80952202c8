/** The entries of the poison queue: one for each failure, with all copies of its message. PURE. */
import type { ReceivedMessage } from '../../../shared/azure/work-queue.ts';
import {
  type PoisonMessage,
  type PoisonReason,
  decodeMessage,
  poisonMessage,
} from '../../../shared/contract/messages.ts';

/** Does not include the message body, which can be large: `bodyOf` decodes it again. */
export interface PoisonEntry extends Omit<PoisonMessage, 'version' | 'body' | 'worker'> {
  /** Null if the message is not a valid poison record. */
  readonly worker: string | null;
  /** Whether the message is a valid poison record. */
  readonly isRecord: boolean;
  /** All messages that report this failure; at least one. */
  readonly copies: readonly ReceivedMessage[];
}

export interface EntryFilter {
  readonly jobId: string | undefined;
  readonly reason: PoisonReason | undefined;
  /** Empty to match all ids. */
  readonly ids: readonly string[];
}

/** Oldest first. A message that is not a valid record becomes a malformed entry with the id of the message. */
export function toEntries(messages: readonly ReceivedMessage[]): PoisonEntry[] {
  const entries = new Map<string, PoisonEntry>();
  for (const message of messages) {
    const entry = toEntry(message);
    const before = entries.get(entry.id);
    entries.set(
      entry.id,
      before === undefined ? entry : { ...before, copies: [...before.copies, ...entry.copies] },
    );
  }
  return [...entries.values()].sort((a, b) => a.poisonedAt.localeCompare(b.poisonedAt));
}

function toEntry(message: ReceivedMessage): PoisonEntry {
  const decoded = decodeMessage(message.text, poisonMessage);
  if (decoded.kind === 'valid') {
    const { version: _version, body: _body, ...record } = decoded.message;
    return { ...record, isRecord: true, copies: [message] };
  }
  const insertedAt = message.insertedAt.toISOString();
  return {
    id: message.messageId,
    reason: decoded.kind === 'newer' ? 'too-new' : 'malformed',
    message:
      decoded.kind === 'newer'
        ? `a poison record of version ${decoded.version}`
        : `not a poison record: ${decoded.reason}`,
    batch: null,
    attempts: 0,
    dequeueCount: 0,
    worker: null,
    insertedAt,
    poisonedAt: insertedAt,
    isRecord: false,
    copies: [message],
  };
}

export function matches({ id, reason, batch }: PoisonEntry, filter: EntryFilter): boolean {
  return (
    (filter.ids.length === 0 || filter.ids.includes(id)) &&
    (filter.reason === undefined || filter.reason === reason) &&
    (filter.jobId === undefined || filter.jobId === batch?.jobId)
  );
}

/** The original message body from `frame-batches`; null if it was too large for the record. */
export function bodyOf({ isRecord, copies: [copy] }: PoisonEntry): string | null {
  if (copy === undefined) return null;
  if (!isRecord) return copy.text;
  const decoded = decodeMessage(copy.text, poisonMessage);
  return decoded.kind === 'valid' ? decoded.message.body : null;
}
