/**
 * Who was asked to drain, why, and since when the request has stood. PURE.
 *
 * The request is a blob, and the blob is the truth: one that was withdrawn, or never got written, is forgotten and judged anew.
 * Only of those that nobody hears it is remembered that they were judged, so that a failed boot is counted once.
 */
import type { DrainWhy } from './decision.ts';
import { hasFailedToBoot, keyOf } from './failing-boots.ts';
import type { Memory, RememberedDrain } from './memory.ts';
import type { Standing } from './standing.ts';

export function followDrains(
  drains: Memory['drains'],
  standings: readonly Standing[],
  {
    drainRequests,
    atMs,
  }: { readonly drainRequests: ReadonlyMap<string, string> | null; readonly atMs: number },
): Memory['drains'] {
  const followed: Record<string, RememberedDrain> = {};
  for (const standing of standings) {
    const key = keyOf(standing);
    const before = Object.hasOwn(drains, key) ? drains[key] : undefined;
    if (drainRequests === null) {
      if (before !== undefined) followed[key] = before;
    } else if (standing.instance.vmId !== null && drainRequests.has(standing.instance.vmId)) {
      followed[key] = { why: before?.why ?? 'asked', standsSinceMs: before?.standsSinceMs ?? atMs };
    } else if (before !== undefined && isUnheard(standing)) {
      followed[key] = { ...before, standsSinceMs: null };
    }
  }
  return followed;
}

export function withDrains(
  drains: Memory['drains'],
  asked: readonly { readonly standing: Standing; readonly why: DrainWhy }[],
): Memory['drains'] {
  const added = asked.map(({ standing, why }) => {
    const key = keyOf(standing);
    const before = Object.hasOwn(drains, key) ? drains[key] : undefined;
    return [key, { why, standsSinceMs: before?.standsSinceMs ?? null }] as const;
  });
  return { ...drains, ...Object.fromEntries(added) };
}

/** Since when each that beats has said that it is booting. */
export function followUnready(
  unreadySinceMs: Memory['unreadySinceMs'],
  standings: readonly Standing[],
  atMs: number,
): Memory['unreadySinceMs'] {
  const entries = standings.flatMap(({ instance: { vmId }, life, unheardMs }) => {
    if (vmId === null || unheardMs === null || (life !== 'booting' && life !== 'unready')) return [];
    const before = Object.hasOwn(unreadySinceMs, vmId) ? unreadySinceMs[vmId] : undefined;
    return [[vmId, Math.min(before ?? atMs, atMs)] as const];
  });
  return Object.fromEntries(entries);
}

function isUnheard(standing: Standing): boolean {
  return standing.life === 'silent' || standing.life === 'failed' || hasFailedToBoot(standing);
}
