/** Formats one entry with all its details and its original message. */
import type { BlobStore } from '../../../shared/azure/blob-store.ts';
import { instantText, safeText } from '../../../shared/command/text.ts';
import { poisonBodyBlob } from '../../../shared/contract/blob-names.ts';
import { parseJson } from '../../../shared/contract/parse-json.ts';
import { type PoisonEntry, bodyOf } from './entry.ts';
import { framesText } from './table.ts';

/** The original message from the entry or, if it was too large, from its blob; undefined if that no longer exists. */
export async function bodyText(blobs: BlobStore, entry: PoisonEntry): Promise<string | undefined> {
  const inside = bodyOf(entry);
  if (inside !== null) return inside;
  return (await blobs.get('logs', poisonBodyBlob(entry.id)))?.toString('utf8');
}

/** Decodes JSON, plain or in base64; null for other text. */
function decodedBody(text: string): unknown {
  const plain = Buffer.from(text, 'base64').toString('utf8');
  return parseJson(plain) ?? parseJson(text) ?? null;
}

/** The entry for `--json`: its copies are only counted. */
export function entryJson(entry: PoisonEntry) {
  const { isRecord: _isRecord, copies, batch, ...rest } = entry;
  return {
    ...rest,
    jobId: batch?.jobId ?? null,
    batchIndex: batch?.batchIndex ?? null,
    frames: batch?.frames ?? [],
    model: batch?.model ?? null,
    copies: copies.length,
  };
}

export async function showJson(blobs: BlobStore, entry: PoisonEntry) {
  const text = await bodyText(blobs, entry);
  return {
    ...entryJson(entry),
    body: text === undefined ? null : { text, decoded: decodedBody(text) },
  };
}

export async function showText(blobs: BlobStore, entry: PoisonEntry): Promise<string> {
  const { id, reason, message, batch, attempts, dequeueCount, worker, insertedAt, poisonedAt, copies } =
    entry;
  const text = await bodyText(blobs, entry);
  const decoded = text === undefined ? null : decodedBody(text);
  const facts: readonly (readonly [name: string, value: string])[] = [
    ['id', id],
    ['reason', reason],
    ['message', message],
    ['job', batch?.jobId ?? '-'],
    ['batch', batch === null ? '-' : String(batch.batchIndex)],
    ['frames', batch === null ? '-' : framesText(batch.frames)],
    ['model', batch === null ? '-' : `${batch.model.name}@${batch.model.version} ${batch.model.sha256}`],
    ['attempts', String(attempts)],
    ['dequeueCount', String(dequeueCount)],
    ['worker', worker ?? '-'],
    ['inserted', instantText(insertedAt)],
    ['poisoned', instantText(poisonedAt)],
    ['copies', String(copies.length)],
  ];
  const lines = facts.map(([name, value]) => `${name.padEnd(14)}${value}`);
  const body =
    text === undefined
      ? 'the message no longer exists'
      : decoded === null
        ? text
        : JSON.stringify(decoded, undefined, 2);
  return safeText([...lines, '', body].join('\n'));
}
