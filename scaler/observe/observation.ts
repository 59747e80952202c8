/**
 * Everything that a decision is made of, at one moment. PURE: types only. What could not be had is null, never a guess.
 */
import type { Heartbeat } from '../../shared/contract/heartbeat.ts';
import type { Priority } from '../../shared/contract/job.ts';
import type { FleetView } from '../fleet/fleet.ts';

/** What is left to do of a job, or of all jobs of a model: frames that are neither scored nor given up, on the queue or not. */
export interface JobBacklog {
  readonly jobId: string;
  /** `name` of the model: rates are known by it. */
  readonly model: string;
  readonly priority: Priority;
  readonly framesRemaining: number;
  readonly batchesRemaining: number;
  /** Of them, on the queue or at a worker. */
  readonly framesInFlight: number;
  /** Messages of the job that may be on the queue: batches in flight, and those that are to be sent again. */
  readonly messagesMax: number;
  readonly megapixelsPerFrame: number;
  /** Still being split, or about to be: more is to come. A job of which only the stitching is left asks for nobody. */
  readonly isSplitting: boolean;
  /** Spent so far, in the currency of the pools' prices; and what may be spent, where the job has a cap. */
  readonly spent: number;
  readonly spendingMax: number | null;
  /** When it should be done; null where nobody said. */
  readonly deadlineAt: Date | null;
}

/** The last word of a worker, and when it was read from storage: by the service's clock on both sides. */
export interface WorkerReport {
  readonly beat: Heartbeat;
  /** By storage's clock: when the blob was written. */
  readonly writtenAt: Date;
}

/** Asked for by a person: see `override.ts`. */
export interface Override {
  readonly mode: 'fixed' | 'min' | 'max' | 'pause';
  /** Instances; null for `pause`. */
  readonly capacity: number | null;
  readonly reason: string;
  readonly author: string;
  readonly setAt: Date;
  readonly expiresAt: Date;
}

export interface Observation {
  /** Wall clock of the scaler, corrected to storage's where that is known. */
  readonly now: Date;
  /** About the same, in ms, but steady: never jumps within a process and goes on in the next. What is remembered is dated by it. */
  readonly atMs: number;
  /** Messages on the queue, visible and in flight: never too low, sometimes too high. */
  readonly messagesApprox: number | null;
  /** Open jobs; null where the ledger cannot be read. */
  readonly backlog: readonly JobBacklog[] | null;
  readonly fleet: FleetView | null;
  /** By vmId; several where a machine has several GPUs. Workers of machines that are gone may be among them. Null where storage cannot be read. */
  readonly workers: ReadonlyMap<string, readonly WorkerReport[]> | null;
  /** Etag of each drain request that stands in `control/drain/`, by vmId. Null where it cannot be read. */
  readonly drainRequests: ReadonlyMap<string, string> | null;
  /** Megapixels per second of one engine, by model. What nobody has run yet is absent. */
  readonly ratesByModel: ReadonlyMap<string, number>;
  /** From asking for an instance to its first heartbeat, as measured; null where none was. */
  readonly bootMs: number | null;
  /** Null where there is none; `unknown` where its blob cannot be read: then the last one known holds. */
  readonly override: Override | null | 'unknown';
}
