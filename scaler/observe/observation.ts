/** Everything that a decision depends on, at one moment. PURE: types only. A reading that failed is null, never a guess. */
import type { Heartbeat } from '../../shared/contract/heartbeat.ts';
import type { Priority } from '../../shared/contract/job.ts';
import type { FleetSnapshot } from '../fleet/fleet.ts';
import type { Override } from '../override/document.ts';

/** The remaining work of a job: frames that are neither scored nor failed for good, on the queue or not. */
export interface JobBacklog {
  readonly jobId: string;
  /** Name of the model. Rates are kept by it. */
  readonly model: string;
  readonly priority: Priority;
  readonly framesRemaining: number;
  /** Scored, or failed for good, or scored by a worker that has not stored them yet. */
  readonly framesDone: number;
  readonly batchesRemaining: number;
  /** Of the remaining frames, those on the queue or at a worker. */
  readonly framesInFlight: number;
  /** Messages of the job that may be on the queue: batches in flight, and batches to send again. */
  readonly messagesMax: number;
  readonly megapixelsPerFrame: number;
  /** The split has not finished, so more batches will come. False for a job that only waits for its stitching. */
  readonly isSplitting: boolean;
  /** In the currency of the pools' prices. */
  readonly spent: number;
  /** The job's cap; null if it has none. */
  readonly spendingMax: number | null;
  /** Null if the job has no deadline. */
  readonly deadlineAt: Date | null;
}

/** The last heartbeat of a worker. */
export interface WorkerReport {
  readonly beat: Heartbeat;
  /** When storage wrote the blob, by the clock of storage. */
  readonly writtenAt: Date;
}

export interface Observation {
  /** Wall clock of the scaler, corrected to that of storage if that is known. */
  readonly now: Date;
  /** About the same in ms, but steady: it never jumps within a process, and the next process continues it. Memory is dated by it. */
  readonly atMs: number;
  /** Messages on the queue, visible and leased. Never too low, sometimes too high. */
  readonly messagesApprox: number | null;
  /** Open jobs; null if the ledger cannot be read. */
  readonly backlog: readonly JobBacklog[] | null;
  readonly fleet: FleetSnapshot | null;
  /** By vmId; several on an instance with several GPUs. May include workers of instances that are gone. Null if storage cannot be read. */
  readonly workers: ReadonlyMap<string, readonly WorkerReport[]> | null;
  /** Etag of each drain request in `control/drain/`, by vmId. Null if they cannot be read. */
  readonly drainRequests: ReadonlyMap<string, string> | null;
  /** Megapixels per second of one engine, by model. A model that has not run yet is absent. */
  readonly ratesByModel: ReadonlyMap<string, number>;
  /** Measured time from the request for an instance to its first heartbeat; null if none was measured. */
  readonly bootMs: number | null;
  /** Null if there is none; `unknown` if its blob cannot be read: then the last known override applies. */
  readonly override: Override | null | 'unknown';
  /** A supposed time for the schedule and the override, in a what-if. Absent: now. */
  readonly scheduleAt?: Date;
}
