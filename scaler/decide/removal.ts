/**
 * Which instances are removed: only those that hold no batch, and say so or cannot hold one. PURE.
 *
 *   drained       every worker on it is drained and quotes the etag of the drain request in force. Drained is final
 *   unresponsive  no heartbeat for a long time, while others send some, and its drain request has been in force all that time. A worker
 *                 that reaches storage finds the request before its next batch; one that does not has lost its lease
 *   not-running   stopped, or never given an identity
 *
 * An instance that never got ready is removed like a silent one once its request has been in force for a boot time-out: a worker looks
 * for the request before its first batch. Nothing is removed while heartbeats or drain requests cannot be read.
 */
import { blockOf, isRemovalAllowed } from './blocked-pools.ts';
import type { DrainReason, RemovalBasis, RemovalReason, RemoveAction } from './decision.ts';
import { type InstanceState, type LifeStage, instanceKey } from './instance-state.ts';
import { drainOf } from './memory.ts';
import { type Situation, mayChange } from './situation.ts';

/** Larger calls are more likely to be refused. */
const REMOVED_AT_ONCE_MAX = 100;

/** The silence is why the instance goes, whatever it was first asked to drain for. */
const SILENCE_REASONS: Partial<Readonly<Record<LifeStage, DrainReason>>> = {
  silent: 'silent',
  overdue: 'never-reported',
  failed: 'failed',
};

interface RemovalCandidate {
  readonly state: InstanceState;
  readonly why: RemovalReason;
  readonly basis: RemovalBasis;
}

/** At most one call per pool, for the largest group with one reason; the others wait for a later tick. */
export function planRemovals(
  situation: Situation,
  /** Pools that this decision changes already. */
  changedPools: ReadonlySet<string>,
): readonly RemoveAction[] {
  const { observation, memory, fleet } = situation;
  if (observation.workers === null || observation.drainRequests === null) return [];
  const candidates = fleet.instances.flatMap((state) => removalCandidate(state, situation) ?? []);
  return fleet.pools.flatMap(({ pool }) => {
    const { name } = pool;
    const isOpen =
      !changedPools.has(name) &&
      mayChange(pool, situation) &&
      isRemovalAllowed(blockOf(memory, name), observation.atMs);
    const own = candidates.filter(({ state }) => state.instance.pool === name);
    const first = largestGroup(own);
    if (!isOpen || first === undefined) return [];
    const group = own
      .filter(({ why, basis }) => why === first.why && basis === first.basis)
      .slice(0, REMOVED_AT_ONCE_MAX);
    return [
      {
        kind: 'remove' as const,
        pool: name,
        instanceIds: group.map(({ state }) => state.instance.instanceId),
        vmIds: group.map(({ state }) => state.instance.vmId),
        why: first.why,
        basis: first.basis,
      },
    ];
  });
}

function removalCandidate(state: InstanceState, situation: Situation): RemovalCandidate | null {
  const { observation, policy, memory, fleet } = situation;
  const { life, draining, instance, heartbeatAgeMs } = state;
  if (life === 'leaving') return null;
  const drain = drainOf(memory.drains, instanceKey(state));
  const why: RemovalReason = drain?.why ?? 'asked';
  if (life === 'not-running') {
    return { state, why: instance.phase === 'failed' ? 'failed' : 'stopped', basis: 'not-running' };
  }
  if (draining === 'drained') return { state, why, basis: 'drained' };
  if (fleet.isFleetSilent) return null;
  // Without an identity, no worker ever ran on it.
  if (life === 'overdue' && instance.vmId === null) {
    return { state, why: 'never-reported', basis: 'not-running' };
  }
  const requestSeenAtMs = drain?.requestSeenAtMs ?? null;
  const inForceMs = requestSeenAtMs === null ? 0 : observation.atMs - requestSeenAtMs;
  const isSilent = heartbeatAgeMs === null || heartbeatAgeMs >= policy.silentRemoveMs;
  const silenceReason = SILENCE_REASONS[life];
  if (silenceReason !== undefined && isSilent && inForceMs >= policy.silentRemoveMs) {
    return { state, why: why === 'faulty' ? why : silenceReason, basis: 'unresponsive' };
  }
  if (life === 'unready' && inForceMs >= policy.bootTimeoutMs) {
    return { state, why: 'never-ready', basis: 'unresponsive' };
  }
  return null;
}

function largestGroup(candidates: readonly RemovalCandidate[]): RemovalCandidate | undefined {
  const sizes = new Map<string, number>();
  for (const { why, basis } of candidates) sizes.set(why + basis, (sizes.get(why + basis) ?? 0) + 1);
  const sizeOf = ({ why, basis }: RemovalCandidate): number => sizes.get(why + basis) ?? 0;
  return candidates.toSorted((a, b) => sizeOf(b) - sizeOf(a))[0];
}
