/** What stands on the poison queue, as people ask for it: a failure each, however many copies there are. PURE. */
import type { ReceivedMessage } from '../../../shared/azure/work-queue.ts';
import {
  type PoisonMessage,
  type PoisonReason,
  decodeMessage,
  poisonMessage,
} from '../../../shared/contract/messages.ts';

/** Without its body, which may be large: `bodyOf` reads it again where it is wanted. */
export interface PoisonEntry extends Omit<PoisonMessage, 'version' | 'body' | 'worker'> {
  /** Null where what stands there is no record of ours. */
  readonly worker: string | null;
  /** Whether it can be read as a record of a failure. */
  readonly isRecord: boolean;
  /** The same failure as often as it was told; at least one. */
  readonly copies: readonly ReceivedMessage[];
}

export interface EntryFilter {
  readonly jobId: string | undefined;
  readonly reason: PoisonReason | undefined;
  /** Empty for any. */
  readonly ids: readonly string[];
}

/** Oldest first. What is no record counts as malformed, under the id of its message. */
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
      decoded.kind === 'newer' ? `a record of version ${decoded.version}` : `no record: ${decoded.reason}`,
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

/** The body as it stood on `frame-batches`; null where the record says that it was too large. */
export function bodyOf({ isRecord, copies: [copy] }: PoisonEntry): string | null {
  if (copy === undefined) return null;
  if (!isRecord) return copy.text;
  const decoded = decodeMessage(copy.text, poisonMessage);
  return decoded.kind === 'valid' ? decoded.message.body : null;
}
