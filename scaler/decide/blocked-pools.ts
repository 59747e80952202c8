/**
 * How long a pool that refused a change is left alone. PURE.
 *
 * Each reason has its own back-off, doubled with every refusal in a row; a time that the service itself names takes precedence. The
 * scaler takes what fits at once and tries other pools meanwhile. A pool that has grown since the refusal is no longer blocked. Quota and
 * capacity do not prevent removals; a service that is busy, unreachable or closed to the scaler does.
 *
 * The times follow Azure/karpenter-provider-azure (`commonerrorhandlers.go`) and Azure's throttling limits. kubernetes/autoscaler#2607
 * shows what happens without blocks: it asks for ten, gets none, and asks again.
 */
import type { BlockReason, FleetSnapshot, Outcome, Pool, Refusal } from '../fleet/fleet.ts';
import type { Memory, RememberedBlock } from './memory.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

interface BackOff {
  readonly minMs: number;
  readonly maxMs: number;
  /** Whether it prevents only growth, not removals. */
  readonly isGrowthOnly: boolean;
}

const BACK_OFFS: Readonly<Record<BlockReason, BackOff>> = {
  /** A person has to raise it, but removing other instances also frees some. */
  quota: { minMs: 10 * MINUTE_MS, maxMs: HOUR_MS, isGrowthOnly: true },
  /** Changes from minute to minute. */
  capacity: { minMs: MINUTE_MS, maxMs: HOUR_MS, isGrowthOnly: true },
  /** Lasts for weeks. */
  unavailable: { minMs: HOUR_MS, maxMs: HOUR_MS, isGrowthOnly: true },
  /** Azure's buckets of calls refill within a minute. */
  throttled: { minMs: MINUTE_MS, maxMs: HOUR_MS, isGrowthOnly: false },
  /** The next tick reads the pool again. */
  conflict: { minMs: 1_000, maxMs: MINUTE_MS, isGrowthOnly: false },
  /** A person has to grant a role, which takes minutes to take effect. */
  forbidden: { minMs: HOUR_MS, maxMs: HOUR_MS, isGrowthOnly: false },
  unreachable: { minMs: 10_000, maxMs: 5 * MINUTE_MS, isGrowthOnly: false },
};
/** The longest wait that the service may ask for. */
const RETRY_AFTER_MS_MAX = HOUR_MS;
/** A refusal this long after the last one starts a new series. */
const FORGOTTEN_AFTER_MS = 2 * HOUR_MS;

/** Records a pool's answer. `accepted` proves nothing yet, because the change may still fail; growth does. */
export function recordOutcome(memory: Memory, pool: string, outcome: Outcome, atMs: number): Memory {
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
  const refusals = isInARow ? before.refusals + 1 : 1;
  const { minMs, maxMs } = BACK_OFFS[reason];
  const ownMs = Math.min(maxMs, minMs * 2 ** Math.min(refusals - 1, 30));
  const waitMs = retryAfterMs === null ? ownMs : Math.min(RETRY_AFTER_MS_MAX, Math.max(0, retryAfterMs));
  return {
    reason,
    message,
    refusals,
    refusedAtMs: atMs,
    untilMs: atMs + waitMs,
    capacityThatFits,
    capacitySeen: null,
  };
}

/** Records refusals that the pools reported late, and ends blocks of pools that have grown. */
export function updateBlocks(memory: Memory, { pools }: FleetSnapshot, atMs: number): Memory {
  let updated = memory;
  for (const { name, refusal } of pools) {
    if (refusal !== null) updated = recordOutcome(updated, name, { kind: 'refused', ...refusal }, atMs);
  }
  const blocked: Record<string, RememberedBlock> = {};
  for (const pool of pools) {
    const block = blockOf(updated, pool.name);
    if (block === null || hasGrown(pool, block) || atMs - block.refusedAtMs > FORGOTTEN_AFTER_MS) continue;
    blocked[pool.name] = { ...block, capacitySeen: block.capacitySeen ?? pool.capacity };
  }
  return { ...updated, blocked };
}

function hasGrown({ capacity, isChanging, refusal }: Pool, block: RememberedBlock): boolean {
  if (isChanging || refusal !== null || block.capacitySeen === null) return false;
  return capacity > Math.max(block.capacitySeen, block.capacityThatFits ?? 0);
}

export function blockOf({ blocked }: Pick<Memory, 'blocked'>, pool: string): RememberedBlock | null {
  return (Object.hasOwn(blocked, pool) ? blocked[pool] : null) ?? null;
}

/** A block that ends later than any block can means that the clock jumped. */
export function isBlockActive(block: RememberedBlock | null, atMs: number): boolean {
  return block !== null && atMs < block.untilMs && block.untilMs - atMs <= HOUR_MS;
}

/** The total to which a pool may grow, as far as refusals tell: its present capacity if it is blocked and nothing more fits. */
export function growthLimit(block: RememberedBlock | null, capacity: number, atMs: number): number {
  if (block === null || !isBlockActive(block, atMs)) return Infinity;
  if (!BACK_OFFS[block.reason].isGrowthOnly) return capacity;
  // Only if it is more than the pool had when it was refused; otherwise it was taken already, or evicted again.
  const fits = block.capacityThatFits ?? 0;
  return fits > (block.capacitySeen ?? capacity) && fits > capacity ? fits : capacity;
}

export function isRemovalAllowed(block: RememberedBlock | null, atMs: number): boolean {
  return block === null || !isBlockActive(block, atMs) || BACK_OFFS[block.reason].isGrowthOnly;
}
