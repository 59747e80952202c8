/**
 * The interface to the instances. It has two implementations, scale sets on Azure and worker processes on this machine; both
 * pass the same contract suite. The scaler relies on what `look` returns, not on what it requested.
 *
 * A pool is a set of instances of one kind and price: a scale set, spot or on-demand. Its capacity is only raised, and falls
 * only when named instances are removed.
 */

/**
 * creating  requested, not running yet
 * running   the instance runs; heartbeats tell whether its worker does
 * stopped   exists but does not run: deallocated after an eviction, or switched off
 * failed    the cloud could not create it
 * deleting  being removed
 */
export const INSTANCE_PHASES = ['creating', 'running', 'stopped', 'failed', 'deleting'] as const;
export type InstancePhase = (typeof INSTANCE_PHASES)[number];

export interface Instance {
  readonly pool: string;
  /** Unique within its pool. The cloud may reuse it for another instance later. */
  readonly instanceId: string;
  /** Never reused: names the instance's heartbeats and its drain request. Null until the cloud has assigned one. */
  readonly vmId: string | null;
  readonly phase: InstancePhase;
  readonly createdAt: Date;
}

/**
 * quota        the subscription's quota for this size or for spot is used up: request more from Microsoft
 * capacity     Azure has no free instance of this size in the region, or evicts new ones at once
 * unavailable  the size is not offered in the region, or the pool does not exist
 * throttled    too many calls: wait for as long as the answer says
 * conflict     the pool is changing, or has changed since the last look
 * forbidden    the scaler's identity lacks the permission
 * unreachable  no answer, or a server error (5xx)
 */
export const BLOCK_REASONS = [
  'quota',
  'capacity',
  'unavailable',
  'throttled',
  'conflict',
  'forbidden',
  'unreachable',
] as const;
export type BlockReason = (typeof BLOCK_REASONS)[number];

/** Why a pool did not carry out a change. */
export interface Refusal {
  readonly reason: BlockReason;
  /** The message of the cloud, shortened to one line. */
  readonly message: string;
  /** The total capacity that the quota allows, if the answer contains it. The scaler then asks for that. */
  readonly capacityThatFits: number | null;
  /** How long the cloud asked the scaler to wait. */
  readonly retryAfterMs: number | null;
}

export interface Pool {
  readonly name: string;
  readonly kind: 'spot' | 'on-demand' | 'local';
  /** The total requested from the cloud. Larger than the number of instances if the cloud could not provide them. */
  readonly capacity: number;
  /** A change is in progress. The scaler requests nothing from the pool until it ends. */
  readonly isChanging: boolean;
  /** Why an accepted change failed. Null if it succeeded or is in progress. Each refusal is returned once. */
  readonly refusal: Refusal | null;
}

/** The result of one look. Pools are in the order in which the scaler fills them. */
export interface FleetSnapshot {
  readonly pools: readonly Pool[];
  /** All instances of all pools. */
  readonly instances: readonly Instance[];
}

/** Thrown by `look` if the fleet cannot be read. */
export class FleetUnreadable extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal, cause?: unknown) {
    super(`Cannot read the fleet: ${refusal.message}`, { cause });
    this.name = 'FleetUnreadable';
    this.refusal = refusal;
  }
}

export type Outcome = { readonly kind: 'accepted' } | ({ readonly kind: 'refused' } & Refusal);

/** A refusal by the fleet itself, without a call to the cloud. */
export function refusedOutcome(
  reason: BlockReason,
  message: string,
  retryAfterMs: number | null = null,
): Outcome {
  return { kind: 'refused', reason, message, capacityThatFits: null, retryAfterMs };
}

export interface Fleet {
  /** Reads pools and instances. Throws FleetUnreadable, or the signal's reason. */
  look(signal?: AbortSignal): Promise<FleetSnapshot>;
  /**
   * Raises a pool's capacity to a total in one call, without waiting for the instances. Refuses with `conflict` if the pool is
   * changing or has changed since the last look, or if the total does not exceed the capacity. The same total is accepted again
   * if the pool has fewer instances than its capacity: the cloud could not provide them before.
   */
  scaleOut(pool: string, total: number): Promise<Outcome>;
  /**
   * Removes named instances of a pool in one call, without waiting for their end. Ignores ids that the last look did not return,
   * because the cloud may have reused them for new instances. An instance that no longer exists is not an error.
   */
  remove(pool: string, instanceIds: readonly string[]): Promise<Outcome>;
}
