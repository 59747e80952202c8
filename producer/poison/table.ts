/**
 * Entries of the poison queue as text for a terminal. PURE.
 *
 * Reasons and bodies come from strangers' files: what a terminal would take for a command is shown as a dot.
 */
import { indicesOf, toRanges } from '../../shared/contract/ranges.ts';
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
  const widths = HEADER.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]): string =>
    safeText(row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')).trimEnd();
  return [HEADER, ...rows].map(line).join('\n');
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

/** `2026-11-23 06:15:02Z`. */
export function instantText(iso: string): string {
  return iso.replace('T', ' ').replace(/\.\d+Z$/, 'Z');
}

export function safeText(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/gu, '·');
}
