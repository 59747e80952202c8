/**
 * Everything that one tick knows before it chooses an action, and the fleet as a whole. PURE.
 *
 * Alive instances count as capacity: those that boot, idle or work, and those that were requested from a pool and are not listed yet. An
 * instance that drains or leaves does not count. A silent instance does not count while others send heartbeats. When all are silent,
 * or most for less than a boot time-out, the cause is storage or the network, and all count as before.
 */
import type { FleetSnapshot, Pool } from '../fleet/fleet.ts';
import type { Observation } from '../observe/observation.ts';
import type { Policy } from '../policy.ts';
import type { CapacityBounds, Demand } from './capacity.ts';
import type { InstanceState, LifeStage } from './instance-state.ts';
import type { Memory } from './memory.ts';

export interface Situation {
  readonly observation: Observation;
  readonly policy: Policy;
  /** Up to date with the observation. */
  readonly memory: Memory;
  /** How long an instance is idle before it is drained. */
  readonly windowMs: number;
  /** What a cold start takes. */
  readonly bootMs: number;
  readonly demand: Demand;
  readonly bounds: CapacityBounds;
  readonly fleet: FleetSummary;
  /** How many instances there should be, before limits on money and on what pools can provide. */
  readonly desired: number;
}

export interface PoolSummary {
  readonly pool: Pool;
  /** Instances that exist or were requested, including those that never came up: totals and costs count from it. */
  readonly committed: number;
  /** Of those, the instances that the cloud could not provide: to request them again costs nothing more. */
  readonly notProvided: number;
  readonly alive: number;
}

export interface FleetSummary {
  readonly instances: readonly InstanceState[];
  readonly alive: readonly InstanceState[];
  /** Alive instances, and those on their way that are not listed yet. */
  readonly aliveCount: number;
  readonly coming: number;
  readonly committed: number;
  readonly notProvided: number;
  readonly pools: readonly PoolSummary[];
  readonly spendingPerHour: number;
  /** Instances whose silence is their own fault, not that of storage or the network. */
  readonly silent: readonly InstanceState[];
  /** All instances, or most of them, fell silent: no instance is drained or removed for it. */
  readonly isFleetSilent: boolean;
  /** Age of the newest heartbeat of a silent fleet. */
  readonly fleetSilentMs: number;
}

/** A pool that was changed within this time may not list all its new instances yet. */
const LISTING_LAG_MS = 60_000;
/** The life stages of an instance whose heartbeats are fresh, if it ever had one. */
const HEARTBEAT_STAGES: ReadonlySet<LifeStage> = new Set(['booting', 'unready', 'idle', 'busy']);

export function summarizeFleet(
  { pools }: FleetSnapshot,
  instances: readonly InstanceState[],
  { atMs }: Pick<Observation, 'atMs'>,
  policy: Policy,
  { changeRequestedAtMs }: Pick<Memory, 'changeRequestedAtMs'>,
): FleetSummary {
  const silence = judgeSilence(instances, policy);
  const alive = instances.filter(({ life, draining }) => {
    if (draining !== 'none') return false;
    if (life === 'silent') return silence.isFleetSilent;
    return life === 'booting' || life === 'idle' || life === 'busy';
  });
  const summaries = pools.map((pool) => {
    const own = instances.filter(({ instance }) => instance.pool === pool.name);
    const listed = own.filter(({ life }) => life !== 'leaving').length;
    const sinceRequestMs = Object.hasOwn(changeRequestedAtMs, pool.name)
      ? atMs - (changeRequestedAtMs[pool.name] ?? 0)
      : Infinity;
    const mayLag = pool.isChanging || (sinceRequestMs >= 0 && sinceRequestMs < LISTING_LAG_MS);
    const unlisted = Math.max(0, pool.capacity - listed);
    const coming = mayLag ? unlisted : 0;
    return {
      pool,
      committed: Math.max(pool.capacity, listed),
      notProvided: unlisted - coming,
      coming,
      alive: coming + alive.filter(({ instance }) => instance.pool === pool.name).length,
    };
  });
  const coming = summaries.reduce((sum, one) => sum + one.coming, 0);
  return {
    instances,
    alive,
    aliveCount: alive.length + coming,
    coming,
    committed: summaries.reduce((sum, one) => sum + one.committed, 0),
    notProvided: summaries.reduce((sum, one) => sum + one.notProvided, 0),
    pools: summaries,
    spendingPerHour: summaries.reduce((sum, one) => sum + one.committed * priceOf(one.pool.name, policy), 0),
    ...silence,
  };
}

/** Whether everything that a smaller fleet depends on could be read. */
export function isAllRead({ isComplete }: Demand, { workers, drainRequests }: Observation): boolean {
  return isComplete && workers !== null && drainRequests !== null;
}

export function busyCount({ alive }: Pick<FleetSummary, 'alive'>): number {
  return alive.filter(({ life }) => life === 'busy').length;
}

export function priceOf(pool: string, { pricePerHour }: Pick<Policy, 'pricePerHour'>): number {
  return (Object.hasOwn(pricePerHour, pool) ? pricePerHour[pool] : 0) ?? 0;
}

/**
 * Decides what silence means. If all are silent, the cause is storage or the network. If most are, it still is, until the silence has
 * lasted for a boot time-out while others went on sending heartbeats. Otherwise each silent instance is at fault itself.
 */
function judgeSilence(
  instances: readonly InstanceState[],
  { bootTimeoutMs }: Policy,
): Pick<FleetSummary, 'silent' | 'isFleetSilent' | 'fleetSilentMs'> {
  // A drained worker may stop sending heartbeats.
  const others = instances.filter(({ draining }) => draining !== 'drained');
  const silent = others.filter(({ life }) => life === 'silent');
  const reporting = others.filter(
    ({ life, heartbeatAgeMs }) => heartbeatAgeMs !== null && HEARTBEAT_STAGES.has(life),
  );
  const newestMs = Math.min(Infinity, ...silent.map(({ heartbeatAgeMs }) => heartbeatAgeMs ?? Infinity));
  const areMostSilent = silent.length > reporting.length && newestMs < bootTimeoutMs;
  const isFleetSilent = silent.length > 0 && (reporting.length === 0 || areMostSilent);
  return {
    silent: isFleetSilent ? [] : silent,
    isFleetSilent,
    fleetSilentMs: isFleetSilent ? newestMs : 0,
  };
}

/** Whether a pool may be changed now: it is not changing, and was not changed a moment ago. */
export function mayChange(pool: PoolSummary['pool'], situation: Situation): boolean {
  const { observation, policy, memory } = situation;
  if (pool.isChanging) return false;
  const changeRequestedAtMs = Object.hasOwn(memory.changeRequestedAtMs, pool.name)
    ? memory.changeRequestedAtMs[pool.name]
    : undefined;
  const sinceMs = changeRequestedAtMs === undefined ? Infinity : observation.atMs - changeRequestedAtMs;
  // An instant in the future means that the clock jumped.
  return sinceMs < 0 || sinceMs >= policy.writeEveryMs;
}
