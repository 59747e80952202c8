/** Formats the entries of the poison queue as a table. PURE. */
import { instantText, textTable } from '../../../shared/command/text.ts';
import { indicesOf, rangeText, toRanges } from '../../../shared/contract/ranges.ts';
import type { PoisonEntry } from './entry.ts';

/** The most frame ranges in a row of the table; `show` prints all. */
const RANGES_MAX = 4;
const HEADER = ['ID', 'REASON', 'JOB', 'FRAMES', 'ATTEMPTS', 'WHEN', 'COPIES', 'MESSAGE'];

export function entryTable(entries: readonly PoisonEntry[]): string {
  const rows = entries.map(({ id, reason, batch, attempts, poisonedAt, copies, message }) => [
    id,
    reason,
    batch?.jobId ?? '-',
    batch === null ? '-' : framesText(batch.frames, RANGES_MAX),
    attempts === 0 ? '-' : String(attempts),
    instantText(poisonedAt),
    String(copies.length),
    message.replaceAll('\n', ' '),
  ]);
  return textTable(HEADER, rows);
}

/** `12-14,20`: the first and the last frame of each range. */
export function framesText(
  ranges: Iterable<readonly [start: number, end: number]>,
  rangesMax = Number.POSITIVE_INFINITY,
): string {
  const merged = toRanges(indicesOf(ranges));
  const shown = merged.slice(0, rangesMax).map(rangeText);
  return [...shown, ...(merged.length > rangesMax ? ['…'] : [])].join(',');
}
