/**
 * Instances that never come up: one is that instance's trouble, several in a row are everybody's. PURE.
 *
 *   well ──▶ a row of failures ──▶ failing: one instance at a time, ever more rarely
 *     ▲            │                  │
 *     └────────────┴──── one that was created since comes up
 *
 * A row counts instances that were never heard within the boot time-out, or beat and never got ready. It is stopped to spend on
 * more of them, and said so, until somebody mends what is broken and one instance proves it.
 */
import type { Policy } from '../policy.ts';
import type { Memory, RememberedBoots } from './memory.ts';
import type { Standing } from './standing.ts';

/** A failed boot by the name it is remembered by. An id may be used again, but not before its first owner is gone. */
export function keyOf({ instance: { vmId, pool, instanceId } }: Standing): string {
  return vmId ?? `${pool}/${instanceId}`;
}

export function hasFailedToBoot({ life }: Standing): boolean {
  return life === 'overdue' || life === 'unready';
}

/** Counts failures once each: those that are in `drains` were counted. */
export function followBoots(
  { boots, drains }: Pick<Memory, 'boots' | 'drains'>,
  standings: readonly Standing[],
  { atMs, policy }: { readonly atMs: number; readonly policy: Policy },
): RememberedBoots {
  const isOver =
    boots.sinceMs !== null &&
    standings.some(
      ({ life, instance }) =>
        (life === 'idle' || life === 'busy') && instance.createdAt.getTime() >= (boots.sinceMs ?? 0),
    );
  const before: RememberedBoots = isOver
    ? { failures: 0, rounds: 0, sinceMs: null, lastFailureAtMs: null }
    : boots;
  const fresh = standings.filter((one) => hasFailedToBoot(one) && !Object.hasOwn(drains, keyOf(one)));
  if (fresh.length === 0) return before;
  // Those that were asked for together run out of time together.
  const isNewRound =
    before.lastFailureAtMs === null || atMs - before.lastFailureAtMs > policy.bootTimeoutMs / 2;
  const firstMs = Math.min(...fresh.map(({ instance }) => instance.createdAt.getTime()));
  return {
    failures: before.failures + fresh.length,
    rounds: before.rounds + (isNewRound ? 1 : 0),
    sinceMs: before.sinceMs ?? firstMs,
    lastFailureAtMs: atMs,
  };
}

export function isFailing({ failures }: RememberedBoots, { bootFailuresMax }: Policy): boolean {
  return failures >= bootFailuresMax;
}

/** When the next single instance is tried. */
export function bootRetryAtMs(
  { rounds, lastFailureAtMs }: RememberedBoots,
  { bootRetryMsMin, bootRetryMsMax }: Policy,
): number {
  const restMs = Math.min(bootRetryMsMax, bootRetryMsMin * 2 ** Math.min(Math.max(0, rounds - 1), 20));
  return (lastFailureAtMs ?? 0) + restMs;
}
