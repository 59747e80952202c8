/**
 * What a refusal means for the time after it. PURE.
 *
 * Each reason has its own back-off, doubled with every refusal in a row; the service's own word goes before it. What fits is taken
 * at once, then the pool rests; another pool is asked meanwhile. A pool that has grown since is not blocked any more. That a size
 * cannot be had keeps nobody from removing machines; that the service is busy, away or closed to us does.
 *
 * Times after Azure/karpenter-provider-azure (`commonerrorhandlers.go`) and Azure's own throttling limits; "asks for ten, gets
 * nothing, asks again" is kubernetes/autoscaler#2607.
 */
import type { BlockReason, FleetView, Outcome, Pool, Refusal } from '../fleet/fleet.ts';
import type { Memory, RememberedBlock } from './memory.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

interface BackOff {
  readonly minMs: number;
  readonly maxMs: number;
  /** Whether it concerns growth only. */
  readonly isOfGrowth: boolean;
}

const BACK_OFFS: Readonly<Record<BlockReason, BackOff>> = {
  /** Somebody has to raise it; but it is also freed when other machines go. */
  quota: { minMs: 10 * MINUTE_MS, maxMs: HOUR_MS, isOfGrowth: true },
  /** Comes and goes by the minute. */
  capacity: { minMs: MINUTE_MS, maxMs: HOUR_MS, isOfGrowth: true },
  /** A matter of weeks. */
  unavailable: { minMs: HOUR_MS, maxMs: HOUR_MS, isOfGrowth: true },
  /** As told; a bucket of calls fills within the minute. */
  throttled: { minMs: MINUTE_MS, maxMs: HOUR_MS, isOfGrowth: false },
  /** The next tick looks again. */
  conflict: { minMs: 1_000, maxMs: MINUTE_MS, isOfGrowth: false },
  /** A role has to be granted, and takes minutes to arrive. */
  forbidden: { minMs: HOUR_MS, maxMs: HOUR_MS, isOfGrowth: false },
  unreachable: { minMs: 10_000, maxMs: 5 * MINUTE_MS, isOfGrowth: false },
};
/** The service's own word is believed up to here. */
const RETRY_AFTER_MS_MAX = HOUR_MS;
/** A refusal so long after the last one begins a new row. */
const FORGOTTEN_AFTER_MS = 2 * HOUR_MS;

/** Tells the memory what a pool answered. An `accepted` proves nothing yet: the change may fail later, and growth will show. */
export function remember(memory: Memory, pool: string, outcome: Outcome, atMs: number): Memory {
  if (outcome.kind === 'accepted') return memory;
  return {
    ...memory,
    blocked: { ...memory.blocked, [pool]: blockAfter(blockOf(memory, pool), outcome, atMs) },
  };
}

function blockAfter(before: RememberedBlock | null, refusal: Refusal, atMs: number): RememberedBlock {
  const { reason, message, capacityThatFits, retryAfterMs } = refusal;
  const isInARow =
    before !== null && before.reason === reason && atMs - before.refusedAtMs < FORGOTTEN_AFTER_MS;
  const attempts = isInARow ? before.attempts + 1 : 1;
  const { minMs, maxMs } = BACK_OFFS[reason];
  const ownMs = Math.min(maxMs, minMs * 2 ** Math.min(attempts - 1, 30));
  const restMs = retryAfterMs === null ? ownMs : Math.min(RETRY_AFTER_MS_MAX, Math.max(0, retryAfterMs));
  return {
    reason,
    message,
    attempts,
    refusedAtMs: atMs,
    untilMs: atMs + restMs,
    capacityThatFits,
    capacitySeen: null,
  };
}

/** The memory after a look at the pools: refusals that came late are taken in, and blocks that are proven over go. */
export function followPools(memory: Memory, { pools }: FleetView, atMs: number): Memory {
  let followed = memory;
  for (const { name, refusal } of pools) {
    if (refusal !== null) followed = remember(followed, name, { kind: 'refused', ...refusal }, atMs);
  }
  const blocked: Record<string, RememberedBlock> = {};
  for (const pool of pools) {
    const block = blockOf(followed, pool.name);
    if (block === null || hasGrown(pool, block) || atMs - block.refusedAtMs > FORGOTTEN_AFTER_MS) continue;
    blocked[pool.name] = { ...block, capacitySeen: block.capacitySeen ?? pool.capacity };
  }
  return { ...followed, blocked };
}

function hasGrown({ capacity, isChanging, refusal }: Pool, block: RememberedBlock): boolean {
  if (isChanging || refusal !== null || block.capacitySeen === null) return false;
  return capacity > Math.max(block.capacitySeen, block.capacityThatFits ?? 0);
}

export function blockOf({ blocked }: Pick<Memory, 'blocked'>, pool: string): RememberedBlock | null {
  return (Object.hasOwn(blocked, pool) ? blocked[pool] : null) ?? null;
}

/** Whether a block is on now. One that lies further ahead than any could is a clock that jumped. */
export function isOn(block: RememberedBlock | null, atMs: number): boolean {
  return block !== null && atMs < block.untilMs && block.untilMs - atMs <= HOUR_MS;
}

/** The total a pool may be raised to, as far as refusals tell: its capacity, where it is blocked and nothing more fits. */
export function growthMax(block: RememberedBlock | null, capacity: number, atMs: number): number {
  if (block === null || !isOn(block, atMs)) return Infinity;
  if (!BACK_OFFS[block.reason].isOfGrowth) return capacity;
  // More than was there when it was refused: else it has been taken already, or evicted again.
  const fits = block.capacityThatFits ?? 0;
  return fits > (block.capacitySeen ?? capacity) && fits > capacity ? fits : capacity;
}

export function mayRemoveFrom(block: RememberedBlock | null, atMs: number): boolean {
  return block === null || !isOn(block, atMs) || BACK_OFFS[block.reason].isOfGrowth;
}
