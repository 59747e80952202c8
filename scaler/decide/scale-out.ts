/**
 * How many instances are added at this tick, in which pools, and what limits them. PURE.
 *
 * Pools fill in their order, spot before on-demand, because a spot instance costs a third. On-demand comes first for the base that must
 * survive evictions, while a job may miss its deadline, and for what spot cannot provide. The scaler takes what fits at once and waits
 * for a pool that is changing. Instances that were requested and not provided are requested again with the same total.
 *
 * Every instance added stays within the maximum capacity, the money per hour, and what refusals have shown. These limits count every
 * requested instance, including one that never came up.
 */
import { engineSecondsOf } from '../costs/engine-seconds.ts';
import { isAtItsCap } from '../costs/spending-cap.ts';
import type { FleetSnapshot } from '../fleet/fleet.ts';
import type { Observation } from '../observe/observation.ts';
import { blockOf, growthLimit } from './blocked-pools.ts';
import type { ScaleOutAction } from './decision.ts';
import { areBootsFailing, bootRetryAtMs } from './memory.ts';
import { type FleetSummary, type PoolSummary, type Situation, mayChange, priceOf } from './situation.ts';

/** Twice the time a job needs: an evicted spot instance costs another boot, and its share of the work starts late. */
const DEADLINE_MARGIN = 2;
/** Spot instances are evicted in a wave if so many, and this share of them, were taken within this time. */
const EVICTION_WINDOW_MS = 300_000;
const EVICTIONS_MIN = 2;
const EVICTED_SHARE_MIN = 0.25;

interface PoolGrowth {
  readonly actions: readonly ScaleOutAction[];
  readonly added: number;
  /** The first limit that applied; null if all of it was added. */
  readonly limitedBy: 'spending' | 'blocked' | 'asked-already' | 'capacity' | null;
}

export interface ScaleOutPlan {
  readonly actions: readonly ScaleOutAction[];
  readonly added: number;
  /** How many instances are missing, before any limit. */
  readonly missingInstances: number;
  readonly limitedBy: PoolGrowth['limitedBy'] | 'boots-fail';
  readonly isSpotEvicting: boolean;
  readonly isDeadlineAtRisk: boolean;
}

/** What `growPools` needs besides the situation. */
interface GrowthRequest {
  readonly instancesToAdd: number;
  /** How many of them may be new. Instances requested earlier are within the maximum capacity already. */
  readonly newInstancesMax: number;
  readonly isSpotEvicting: boolean;
  readonly isDeadlineAtRisk: boolean;
}

export function planScaleOut(situation: Situation): ScaleOutPlan {
  const { policy, fleet, desired } = situation;
  const belowDesired = Math.max(0, desired - fleet.aliveCount);
  const missingInstances = belowDesired === 0 && needsProbeInstance(situation) ? 1 : belowDesired;
  const risks = {
    isSpotEvicting: isSpotEvicting(situation),
    isDeadlineAtRisk: isDeadlineAtRisk(situation),
  };
  const nothing = { missingInstances, actions: [], added: 0, ...risks };
  if (missingInstances === 0) return { ...nothing, limitedBy: null };

  const bootsAllowed = allowedBoots(situation);
  if (bootsAllowed === 0) return { ...nothing, limitedBy: 'boots-fail' };
  const newInstancesMax = policy.capacityMax - fleet.committed;
  if (newInstancesMax < 0 || (newInstancesMax === 0 && fleet.notProvided === 0)) {
    return { ...nothing, limitedBy: 'capacity' };
  }
  const instancesToAdd = Math.min(missingInstances, bootsAllowed);
  const growth = growPools(situation, { instancesToAdd, newInstancesMax, ...risks });
  return {
    missingInstances,
    ...growth,
    ...risks,
    limitedBy: growth.limitedBy ?? (instancesToAdd < missingInstances ? 'boots-fail' : null),
  };
}

function bootingCount({ alive, coming }: FleetSummary): number {
  return coming + alive.filter(({ life }) => life === 'booting').length;
}

/** If the whole fleet has been silent for a boot time-out, one new instance shows whether storage or the workers are the cause. */
function needsProbeInstance({ demand, fleet, policy }: Situation): boolean {
  const hasLasted = fleet.isFleetSilent && fleet.fleetSilentMs >= policy.bootTimeoutMs;
  return hasLasted && demand.wanted > 0 && bootingCount(fleet) === 0;
}

/** While boots fail, the scaler tries one instance at a time. */
function allowedBoots({ observation, policy, memory, fleet }: Situation): number {
  if (!areBootsFailing(memory.boots, policy)) return Infinity;
  const isTime = observation.atMs >= bootRetryAtMs(memory.boots, policy);
  return bootingCount(fleet) === 0 && isTime ? 1 : 0;
}

/**
 * Whether a job may miss its deadline if one of its instances is evicted:
 * time left < 2 × (boot time + engine-seconds of the job / (desired instances × engines per instance)).
 * A deadline in the past is not at risk: expensive instances cannot save it.
 */
function isDeadlineAtRisk({ observation, policy, desired, bootMs }: Situation): boolean {
  const { backlog, ratesByModel, now } = observation;
  const engines = Math.max(1, desired) * policy.enginesPerInstance;
  return (backlog ?? []).some((job) => {
    if (job.deadlineAt === null || job.framesRemaining === 0 || isAtItsCap(job)) return false;
    const leftMs = job.deadlineAt.getTime() - now.getTime();
    const workMs = (engineSecondsOf(job, ratesByModel) * 1000) / engines;
    return leftMs > 0 && leftMs < DEADLINE_MARGIN * (bootMs + workMs);
  });
}

/** Whether spot instances are evicted as fast as they start. */
function isSpotEvicting({ observation, fleet }: Situation): boolean {
  const evictions = observation.fleet === null ? 0 : recentEvictions(observation.fleet, observation);
  const spotAlive = fleet.pools
    .filter(({ pool }) => pool.kind === 'spot')
    .reduce((sum, { alive }) => sum + alive, 0);
  return evictions >= Math.max(EVICTIONS_MIN, EVICTED_SHARE_MIN * (spotAlive + evictions));
}

/** Instances that are gone or stopped, whose workers sent a heartbeat a moment ago and had no drain request from us. */
function recentEvictions({ pools, instances }: FleetSnapshot, { workers, now }: Observation): number {
  if (!pools.some(({ kind }) => kind === 'spot')) return 0;
  const present = new Set(instances.filter(({ phase }) => phase !== 'stopped').map(({ vmId }) => vmId));
  return [...(workers ?? [])].filter(([vmId, reports]) => {
    if (present.has(vmId) || reports.length === 0) return false;
    const isRecent = reports.some(
      ({ writtenAt }) => now.getTime() - writtenAt.getTime() < EVICTION_WINDOW_MS,
    );
    return isRecent && reports.every(({ beat }) => beat.drainEtag === null);
  }).length;
}

function growPools(situation: Situation, request: GrowthRequest): PoolGrowth {
  const { observation, policy, memory, fleet, desired } = situation;
  const onDemand = fleet.pools.filter(({ pool }) => pool.kind === 'on-demand');
  const onDemandAlive = onDemand.reduce((sum, { alive }) => sum + alive, 0);
  const missingBase = Math.max(0, Math.min(policy.onDemandBase, desired) - onDemandAlive);
  const added = new Map<string, number>();
  let left = request.instancesToAdd;
  let newLeft = request.newInstancesMax;
  let money = (policy.spendingPerHourMax ?? Infinity) - fleet.spendingPerHour;
  let limitedBy: PoolGrowth['limitedBy'] = null;

  const add = ({ pool, committed, notProvided }: PoolSummary, count: number): void => {
    if (count <= 0) return;
    const limit = growthLimit(blockOf(memory, pool.name), committed, observation.atMs);
    if (limit <= committed) {
      limitedBy ??= 'blocked';
      return;
    }
    if (!mayChange(pool, situation)) {
      limitedBy ??= 'asked-already';
      return;
    }
    const before = added.get(pool.name) ?? 0;
    // Instances requested and not provided are requested again: the total and the cost include them already.
    const promised = Math.max(0, notProvided - before);
    const price = priceOf(pool.name, policy);
    const limits = {
      blocked: limit - committed - Math.max(0, before - notProvided) + promised,
      spending: price === 0 ? Infinity : money < 0 ? 0 : Math.floor(money / price + 1e-9) + promised,
      capacity: newLeft + promised,
    };
    const granted = Math.max(0, Math.min(count, ...Object.values(limits)));
    if (granted < count) limitedBy ??= tightest(limits);
    if (granted === 0) return;
    added.set(pool.name, before + granted);
    left -= granted;
    newLeft -= Math.max(0, granted - promised);
    money -= Math.max(0, granted - promised) * price;
  };

  for (const one of onDemand) add(one, Math.min(left, missingBase - sumOf(added)));
  const others = fleet.pools.filter((one) => !onDemand.includes(one));
  const inOrder = request.isDeadlineAtRisk ? [...onDemand, ...others] : fleet.pools;
  for (const one of inOrder) {
    if (onDemand.length > 0 && request.isSpotEvicting && one.pool.kind === 'spot') continue;
    // Wait for a pool that is changing: the next pool would be asked for the same instances.
    if (mustWaitFor(one, situation) && left > 0) {
      limitedBy ??= 'asked-already';
      break;
    }
    add(one, left);
  }
  const actions = fleet.pools.flatMap(({ pool, committed, notProvided }) => {
    const more = added.get(pool.name) ?? 0;
    const total = committed + Math.max(0, more - notProvided);
    return more > 0 ? [{ kind: 'scale-out' as const, pool: pool.name, total }] : [];
  });
  return { actions, added: request.instancesToAdd - left, limitedBy: left > 0 ? limitedBy : null };
}

function tightest(limits: Readonly<Record<'blocked' | 'spending' | 'capacity', number>>) {
  const names = ['capacity', 'blocked', 'spending'] as const;
  return names.reduce((least, name) => (limits[name] < limits[least] ? name : least));
}

function mustWaitFor({ pool, committed }: PoolSummary, situation: Situation): boolean {
  const block = blockOf(situation.memory, pool.name);
  const isOpen = growthLimit(block, committed, situation.observation.atMs) > committed;
  return isOpen && !mayChange(pool, situation);
}

function sumOf(added: ReadonlyMap<string, number>): number {
  return [...added.values()].reduce((sum, one) => sum + one, 0);
}
