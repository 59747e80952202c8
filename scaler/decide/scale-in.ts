/**
 * Which instances drain because there are more than the work needs. PURE. Nothing is removed here: an instance that is asked to
 * drain finishes its batch first, and then reports that it has drained.
 *
 * An instance drains once it has been idle for the idle window, or at once if an override sets a lower ceiling. The most expensive
 * instances drain first, then those idle for longest. The on-demand base stays.
 */
import { BATCH_TARGET_SECONDS } from '../../shared/contract/limits.ts';
import type { Policy } from '../policy.ts';
import type { DrainReason } from './decision.ts';
import type { DrainCandidate, InstanceState, LifeStage } from './instance-state.ts';
import { type Memory, isZeroUnconfirmed } from './memory.ts';
import { type Situation, priceOf } from './situation.ts';

/** Workers that share the last of the work fall idle within about two batches. */
const SPREAD_MS = 2 * BATCH_TARGET_SECONDS * 1_000;

/** While there is work, a smaller share of the fleet is not worth a scale-in: the next wave may need one more or less. */
const WORTH_SHARE_MIN = 0.2;

export interface ScaleInPlan {
  readonly candidates: readonly DrainCandidate[];
  /** Instances not needed at the moment. */
  readonly surplusNow: number;
  /** Of those, idle for the whole window. */
  readonly due: number;
  /** Time until the next idle instance is due; null if there is none. */
  readonly dueInMs: number | null;
  /** For the memory. */
  readonly surplus: Memory['surplus'];
}

/** Plans only if all readings succeeded and no instance is missing. Idleness counts only if the queue and the ledger agree. */
export function planScaleIn(situation: Situation, isGrowing: boolean): ScaleInPlan {
  const { observation, memory, demand, bounds, fleet } = situation;
  const nothing: ScaleInPlan = {
    candidates: [],
    surplusNow: 0,
    due: 0,
    dueInMs: null,
    surplus: memory.surplus,
  };
  if (isGrowing) return { ...nothing, surplus: null };
  if (observation.workers === null || observation.drainRequests === null) return nothing;

  if (bounds.isCeilingOverridden && fleet.aliveCount > bounds.ceiling) {
    const candidates = asCandidates(instancesAboveCeiling(situation), 'override');
    return { ...nothing, candidates, surplusNow: fleet.aliveCount - bounds.ceiling };
  }
  if (!demand.isComplete || fleet.isFleetSilent || isZeroUnconfirmed(situation)) return nothing;
  return planIdleDrains(situation);
}

/**
 * The end of a wave of work is one scale-in, although its instances fall idle one by one: the scaler waits for the next instance that is
 * about to be due, for half a window, or for one minute if that is longer. While there is work, a surplus below a fifth of the fleet
 * waits for two windows.
 *
 * Where work is thin, each worker pulls a little of it and no instance is idle for a whole window. Then the scaler counts how many
 * instances were not needed at any time within two windows, or two drain targets if these are longer, and drains as many idle ones.
 */
function planIdleDrains(situation: Situation): ScaleInPlan {
  const { observation, policy, memory, demand, bounds, fleet, desired, windowMs } = situation;
  const needed = Math.max(bounds.floor, demand.wanted);
  const surplusNow = Math.max(0, fleet.aliveCount - desired);
  const lastsAfterMs = 2 * Math.max(windowMs, policy.drainTargetMs);
  const unwanted = Math.max(0, fleet.aliveCount - needed);
  const lastingSurplus = updateSurplus(memory.surplus, unwanted, observation.atMs, lastsAfterMs);

  const idle = fleet.alive.filter(({ life }) => life === 'idle');
  const byIdleness = idle.toSorted((a, b) => b.idleMs - a.idleMs).slice(0, surplusNow);
  const due = byIdleness.filter(({ idleMs }) => idleMs >= windowMs);
  const soonest = byIdleness.find(({ idleMs }) => idleMs < windowMs);
  const pastWindowMs = (byIdleness[0]?.idleMs ?? 0) - windowMs;
  const isFew = (count: number): boolean => needed > 0 && count < WORTH_SHARE_MIN * fleet.aliveCount;
  const mustWait =
    (soonest !== undefined && pastWindowMs < Math.max(windowMs / 2, SPREAD_MS)) ||
    (isFew(surplusNow) && pastWindowMs < windowMs);

  const overdueSurplusMs =
    needed > 0 && lastingSurplus !== null ? observation.atMs - lastingSurplus.sinceMs - lastsAfterMs : -1;
  // Usually there is a moment when enough instances are idle at once; after a while, drain those that are.
  const canDrainSurplus =
    overdueSurplusMs >= 0 &&
    (idle.length >= (lastingSurplus?.least ?? 0) || overdueSurplusMs >= lastsAfterMs / 4);
  const lastingCount =
    canDrainSurplus && lastingSurplus !== null && !isFew(lastingSurplus.least) ? lastingSurplus.least : 0;

  // All instances idle for the whole window are candidates; the price decides between them.
  const candidates = lastingCount > 0 ? idle : idle.filter(({ idleMs }) => idleMs >= windowMs);
  const count = Math.min(surplusNow, Math.max(lastingCount, mustWait ? 0 : due.length));
  const chosen = withoutBase(mostExpensiveFirst(candidates, policy), situation).slice(0, count);
  const least = (lastingSurplus?.least ?? 0) - chosen.length;
  return {
    candidates: asCandidates(chosen, 'idle'),
    surplusNow,
    due: due.length,
    dueInMs: soonest === undefined ? null : windowMs - soonest.idleMs,
    surplus: lastingSurplus === null || least <= 0 ? null : { ...lastingSurplus, least },
  };
}

/** The ceiling of an override applies to all instances: idle ones drain first, then booting ones, then busy ones. */
function instancesAboveCeiling({ policy, bounds, fleet }: Situation): readonly InstanceState[] {
  const inStage = (stage: LifeStage): readonly InstanceState[] =>
    mostExpensiveFirst(
      fleet.alive.filter(({ life, instance }) => life === stage && instance.vmId !== null),
      policy,
    );
  const all = [...inStage('idle'), ...inStage('booting'), ...inStage('silent'), ...inStage('busy')];
  // Instances that are not listed yet cannot be asked. Once they are, they drain before the busy ones.
  return all.slice(0, Math.max(0, fleet.alive.length - bounds.ceiling));
}

/** The smallest surplus since an instant. It starts afresh now and then, so that an old peak of work is forgotten. */
function updateSurplus(
  before: Memory['surplus'],
  unwanted: number,
  atMs: number,
  lastsAfterMs: number,
): Memory['surplus'] {
  if (unwanted === 0) return null;
  const sinceMs = before === null ? Infinity : atMs - before.sinceMs;
  if (before === null || sinceMs < 0 || sinceMs > 2 * lastsAfterMs) return { sinceMs: atMs, least: unwanted };
  return { sinceMs: before.sinceMs, least: Math.min(before.least, unwanted) };
}

function mostExpensiveFirst(candidates: readonly InstanceState[], policy: Policy): readonly InstanceState[] {
  const price = ({ instance }: InstanceState): number => priceOf(instance.pool, policy);
  return candidates.toSorted((a, b) => price(b) - price(a) || b.idleMs - a.idleMs);
}

/** The candidates without those that the on-demand base keeps. */
function withoutBase(
  candidates: readonly InstanceState[],
  { policy, fleet, desired }: Situation,
): readonly InstanceState[] {
  const pools = new Set(
    fleet.pools.filter(({ pool }) => pool.kind === 'on-demand').map(({ pool }) => pool.name),
  );
  const isOnDemand = ({ instance }: InstanceState): boolean => pools.has(instance.pool);
  const alive = fleet.alive.filter(isOnDemand).length;
  const spare = Math.max(0, alive - Math.min(policy.onDemandBase, desired));
  const base = new Set(candidates.filter(isOnDemand).slice(spare));
  return candidates.filter((one) => !base.has(one));
}

function asCandidates(instances: readonly InstanceState[], why: DrainReason): readonly DrainCandidate[] {
  return instances.map((state) => ({ state, why }));
}
