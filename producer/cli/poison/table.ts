/** Entries of the poison queue as text for a terminal. PURE. */
import { instantText, textTable } from '../../../shared/command/text.ts';
import { indicesOf, toRanges } from '../../../shared/contract/ranges.ts';
import type { PoisonEntry } from './entry.ts';

/** Ranges told in a table; `show` tells all. */
const RANGES_TOLD = 4;
const HEADER = ['ID', 'REASON', 'JOB', 'FRAMES', 'ATTEMPTS', 'WHEN', 'COPIES', 'MESSAGE'];

export function entryTable(entries: readonly PoisonEntry[]): string {
  const rows = entries.map(({ id, reason, batch, attempts, poisonedAt, copies, message }) => [
    id,
    reason,
    batch?.jobId ?? '-',
    batch === null ? '-' : framesText(batch.frames, RANGES_TOLD),
    attempts === 0 ? '-' : String(attempts),
    instantText(poisonedAt),
    String(copies.length),
    message.replaceAll('\n', ' '),
  ]);
  return textTable(HEADER, rows);
}

/** `12-14,20`: the first and the last of each range. */
export function framesText(
  ranges: Iterable<readonly [start: number, end: number]>,
  rangesMax = Number.POSITIVE_INFINITY,
): string {
  const merged = toRanges(indicesOf(ranges));
  const told = merged
    .slice(0, rangesMax)
    .map(([start, end]) => (end - start === 1 ? String(start) : `${start}-${end - 1}`));
  return [...told, ...(merged.length > rangesMax ? ['…'] : [])].join(',');
}
