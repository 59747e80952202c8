/**
 * The machines, as the scaler sees them. Two implementations stand behind it: scale sets on Azure, and worker processes on this
 * machine; both pass one contract suite. Both are asked, never assumed: what `look` says is the truth.
 *
 * A pool is a set of machines of one kind that are bought alike: a scale set, spot or on demand. Its capacity is only ever
 * raised; it falls by the removal of named instances.
 */

/**
 * creating  asked for, and not up yet
 * running   up; whether its worker is, its heartbeat tells
 * stopped   there, but not running: an evicted machine that was deallocated, or one that was switched off
 * failed    the cloud could not make it
 * deleting  on its way out
 */
export const INSTANCE_PHASES = ['creating', 'running', 'stopped', 'failed', 'deleting'] as const;
export type InstancePhase = (typeof INSTANCE_PHASES)[number];

export interface Instance {
  readonly pool: string;
  /** As its pool knows it. It may be given to another machine later. */
  readonly instanceId: string;
  /** Unique for ever: names the instance's heartbeats and its drain request. Null until the cloud has given one. */
  readonly vmId: string | null;
  readonly phase: InstancePhase;
  readonly createdAt: Date;
}

/**
 * quota        the subscription may not have more of this size, or of spot: somebody has to ask Microsoft
 * capacity     Azure has no more of this size here, or evicts as soon as it gives
 * unavailable  the size is not offered here at all, or retired; or there is no such pool
 * throttled    too many calls: wait as long as was said
 * conflict     somebody else is changing the pool, or has changed it since it was looked at
 * forbidden    this identity may not
 * unreachable  no answer, or one that says nothing (5xx)
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

/** Why a pool did not become what it was asked to. */
export interface Refusal {
  readonly reason: BlockReason;
  /** The service's own words, cut to a line. */
  readonly message: string;
  /** The capacity that would have been granted, where the answer tells: what fits is taken. */
  readonly capacityThatFits: number | null;
  /** How long the service asked to be left alone. */
  readonly retryAfterMs: number | null;
}

export interface Pool {
  readonly name: string;
  readonly kind: 'spot' | 'on-demand' | 'local';
  /** What was last asked for, as the cloud knows it: more than there are instances where it could not be given. */
  readonly capacity: number;
  /** A change is under way: nothing is asked of the pool until it is over. */
  readonly isChanging: boolean;
  /** What became of the last change after it had been accepted; null where it went well, or is still under way. Told once. */
  readonly refusal: Refusal | null;
}

/** One reading, consistent enough: pools in the order in which they are to be filled. */
export interface FleetView {
  readonly pools: readonly Pool[];
  /** Every instance there is. */
  readonly instances: readonly Instance[];
}

/** Why the fleet cannot be known at the moment: what `look` throws. */
export class FleetUnreadable extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal, cause?: unknown) {
    super(`the fleet cannot be read: ${refusal.message}`, { cause });
    this.name = 'FleetUnreadable';
    this.refusal = refusal;
  }
}

export type Outcome = { readonly kind: 'accepted' } | ({ readonly kind: 'refused' } & Refusal);

export interface Fleet {
  /** Throws FleetUnreadable, or the signal's reason, where it cannot be known: then nothing is decided. */
  look(signal?: AbortSignal): Promise<FleetView>;
  /**
   * Raises a pool's capacity to a total, in one call, and does not wait until it is there. Never lowers it: refused (`conflict`)
   * where the pool is changing or has changed since the last look, and where the total is no more than the capacity. The same
   * total again is welcome where the pool has fewer instances than its capacity: it asks for what could not be given.
   */
  scaleOut(pool: string, total: number): Promise<Outcome>;
  /**
   * Removes named instances of a pool, in one call, and does not wait until they have gone. Only those that the last look saw:
   * the id of another may have been given to a new machine. Those that are not there any more are no error.
   */
  remove(pool: string, instanceIds: readonly string[]): Promise<Outcome>;
}
