/**
 * What the scaler remembers from tick to tick, and how each observation brings it up to date. PURE: plain data that survives JSON
 * unchanged.
 *
 * Instants are `Observation.atMs`, a clock that the next process continues. Two are wall time: `boots.sinceMs` and the expiry of the
 * override. Memory is never needed for safety: a scaler that lost it waits longer, sends its requests again and counts failures anew.
 */
import type { BlockReason } from '../fleet/fleet.ts';
import type { Observation } from '../observe/observation.ts';
import type { Override } from '../override/document.ts';
import type { Policy } from '../policy.ts';
import type { DrainReason } from './decision.ts';
import { type DrainCandidate, type InstanceState, hasFailedToBoot, instanceKey } from './instance-state.ts';
import { type Situation, busyCount, isAllRead } from './situation.ts';

export interface Memory {
  /** The last desired capacity: it stays in force while the fleet cannot be read. */
  readonly capacityDesired: number;
  /** Consecutive readings in which the queue and the ledger were empty and no worker was busy. */
  readonly zeroReadings: number;
  /** At least this many instances have not been needed since then. */
  readonly surplus: { readonly sinceMs: number; readonly least: number } | null;
  /** Instances that should drain, by `instanceKey`. */
  readonly drains: Readonly<Record<string, RememberedDrain>>;
  /** Since when an instance with heartbeats has been booting, by vmId. */
  readonly unreadySinceMs: Readonly<Record<string, number>>;
  readonly boots: RememberedBoots;
  /** By pool. */
  readonly blocked: Readonly<Record<string, RememberedBlock>>;
  /** When the scaler last requested a change of each pool, larger or smaller. */
  readonly changeRequestedAtMs: Readonly<Record<string, number>>;
  /** The last override that could be read. */
  readonly override: RememberedOverride | null;
}

export interface RememberedDrain {
  /** `asked`: the request is not from this scaler, or older than this memory. */
  readonly why: DrainReason | 'asked';
  /** Since when the drain request has been seen in storage; null while it has not. */
  readonly requestSeenAtMs: number | null;
}

export interface RememberedBoots {
  /** Consecutive instances that never came up. */
  readonly failures: number;
  /** Consecutive groups of failures: instances that were started together fail together. */
  readonly rounds: number;
  /** When the first of them was created. An instance created later that comes up ends the series. */
  readonly sinceMs: number | null;
  readonly lastFailureAtMs: number | null;
}

export interface RememberedBlock {
  readonly reason: BlockReason;
  /** The message of the service, unchanged. */
  readonly message: string;
  /** In a row. */
  readonly refusals: number;
  readonly refusedAtMs: number;
  readonly untilMs: number;
  /** The capacity that would be granted: the scaler takes it at once, and no more until the block ends. */
  readonly capacityThatFits: number | null;
  /** The pool's capacity when it was first seen after the refusal. A larger one means that a change succeeded. */
  readonly capacitySeen: number | null;
}

export type RememberedOverride = Pick<Override, 'mode' | 'capacity' | 'schedule' | 'reason' | 'author'> & {
  readonly expiresAtMs: number;
};

export const INITIAL_MEMORY: Memory = {
  capacityDesired: 0,
  zeroReadings: 0,
  surplus: null,
  drains: {},
  unreadySinceMs: {},
  boots: { failures: 0, rounds: 0, sinceMs: null, lastFailureAtMs: null },
  blocked: {},
  changeRequestedAtMs: {},
  override: null,
};

/** The memory as it is saved. Two fields keep the names that other releases read and write. */
type SavedMemory = Omit<Memory, 'blocked' | 'changeRequestedAtMs'> & {
  readonly blocked: Readonly<
    Record<string, Omit<RememberedBlock, 'refusals'> & { readonly attempts: number }>
  >;
  readonly askedAtMs: Memory['changeRequestedAtMs'];
};

export function toSavedMemory({ blocked, changeRequestedAtMs, ...rest }: Memory): SavedMemory {
  const blocks = Object.entries(blocked).map(
    ([pool, { refusals, ...block }]) => [pool, { ...block, attempts: refusals }] as const,
  );
  return { ...rest, blocked: Object.fromEntries(blocks), askedAtMs: changeRequestedAtMs };
}

/** Reads the memory that another scaler or another release has saved. Undefined if its shape differs from today's. */
export function parseMemory(saved: unknown): Memory | undefined {
  if (typeof saved !== 'object' || saved === null) return undefined;
  // Null and an object have one type here, because most fields may be either.
  const hasSameShape = Object.entries(toSavedMemory(INITIAL_MEMORY)).every(
    ([name, value]) => name in saved && typeof saved[name as keyof typeof saved] === typeof value,
  );
  if (!hasSameShape) return undefined;
  const { blocked, askedAtMs, ...rest } = saved as SavedMemory;
  const blocks = Object.entries(blocked).map(
    ([pool, { attempts, ...block }]) => [pool, { ...block, refusals: attempts }] as const,
  );
  return { ...rest, blocked: Object.fromEntries(blocks), changeRequestedAtMs: askedAtMs };
}

/**
 * Brings the drains up to date with the requests in storage, which are the truth: a request that was withdrawn or never written is
 * forgotten. Instances without heartbeats stay remembered without a request, so that a failed boot is counted once.
 */
export function updateDrains(
  drains: Memory['drains'],
  instances: readonly InstanceState[],
  { drainRequests, atMs }: Pick<Observation, 'drainRequests' | 'atMs'>,
): Memory['drains'] {
  const updated: Record<string, RememberedDrain> = {};
  for (const state of instances) {
    const key = instanceKey(state);
    const before = drainOf(drains, key);
    if (drainRequests === null) {
      if (before !== undefined) updated[key] = before;
    } else if (state.instance.vmId !== null && drainRequests.has(state.instance.vmId)) {
      updated[key] = { why: before?.why ?? 'asked', requestSeenAtMs: before?.requestSeenAtMs ?? atMs };
    } else if (before !== undefined && hasNoHeartbeat(state)) {
      updated[key] = { ...before, requestSeenAtMs: null };
    }
  }
  return updated;
}

export function addDrains(drains: Memory['drains'], candidates: readonly DrainCandidate[]): Memory['drains'] {
  const added = candidates.map(({ state, why }) => {
    const key = instanceKey(state);
    return [key, { why, requestSeenAtMs: drainOf(drains, key)?.requestSeenAtMs ?? null }] as const;
  });
  return { ...drains, ...Object.fromEntries(added) };
}

export function drainOf(drains: Memory['drains'], key: string): RememberedDrain | undefined {
  return Object.hasOwn(drains, key) ? drains[key] : undefined;
}

/** Since when each instance with heartbeats has been booting. */
export function updateUnready(
  unreadySinceMs: Memory['unreadySinceMs'],
  instances: readonly InstanceState[],
  atMs: number,
): Memory['unreadySinceMs'] {
  const entries = instances.flatMap(({ instance: { vmId }, life, heartbeatAgeMs }) => {
    if (vmId === null || heartbeatAgeMs === null || (life !== 'booting' && life !== 'unready')) return [];
    const before = Object.hasOwn(unreadySinceMs, vmId) ? unreadySinceMs[vmId] : undefined;
    return [[vmId, Math.min(before ?? atMs, atMs)] as const];
  });
  return Object.fromEntries(entries);
}

/**
 * Counts instances that never came up. One failure is that instance's fault; several in a row have a common cause, such as the image.
 * An instance that was created after the first failure and comes up ends the series. Those in `drains` were counted before.
 */
export function updateBoots(
  { boots, drains }: Pick<Memory, 'boots' | 'drains'>,
  instances: readonly InstanceState[],
  atMs: number,
  policy: Policy,
): RememberedBoots {
  const isOver =
    boots.sinceMs !== null &&
    instances.some(
      ({ life, instance }) =>
        (life === 'idle' || life === 'busy') && instance.createdAt.getTime() >= (boots.sinceMs ?? 0),
    );
  const before = isOver ? INITIAL_MEMORY.boots : boots;
  const failed = instances.filter((one) => hasFailedToBoot(one) && !Object.hasOwn(drains, instanceKey(one)));
  if (failed.length === 0) return before;
  // Instances that were started together time out together.
  const isNewRound =
    before.lastFailureAtMs === null || atMs - before.lastFailureAtMs > policy.bootTimeoutMs / 2;
  const firstMs = Math.min(...failed.map(({ instance }) => instance.createdAt.getTime()));
  return {
    failures: before.failures + failed.length,
    rounds: before.rounds + (isNewRound ? 1 : 0),
    sinceMs: before.sinceMs ?? firstMs,
    lastFailureAtMs: atMs,
  };
}

/** Counts consecutive readings of zero: nothing on the queue, nothing in the ledger, and no worker busy. */
export function updateZeroReadings(
  zeroReadings: number,
  { observation, policy, demand, fleet }: Pick<Situation, 'observation' | 'policy' | 'demand' | 'fleet'>,
): number {
  const isZero = !demand.hasWork && busyCount(fleet) === 0 && !fleet.isFleetSilent;
  if (!isZero || !isAllRead(demand, observation)) return 0;
  return Math.min(zeroReadings + 1, policy.zeroReadingsMin);
}

/** No work seems left, but too few readings in a row say so: no instance is drained for it. */
export function isZeroUnconfirmed({ memory, policy }: Pick<Situation, 'memory' | 'policy'>): boolean {
  return memory.zeroReadings > 0 && memory.zeroReadings < policy.zeroReadingsMin;
}

export function areBootsFailing({ failures }: RememberedBoots, { bootFailuresMax }: Policy): boolean {
  return failures >= bootFailuresMax;
}

/** When the scaler tries the next single instance. */
export function bootRetryAtMs({ rounds, lastFailureAtMs }: RememberedBoots, policy: Policy): number {
  const doubled = policy.bootRetryMsMin * 2 ** Math.min(Math.max(0, rounds - 1), 20);
  return (lastFailureAtMs ?? 0) + Math.min(policy.bootRetryMsMax, doubled);
}

function hasNoHeartbeat(state: InstanceState): boolean {
  return state.life === 'silent' || state.life === 'failed' || hasFailedToBoot(state);
}
