/** What the delivery of batches works with, composed in `main.ts`. */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import type { WorkQueue } from '../../shared/azure/work-queue.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { EngineProcess } from '../engine/engine-process.ts';
import type { HeartbeatSender } from '../host/heartbeat.ts';
import type { WorkerMetrics } from '../metrics.ts';

export interface DeliveryServices {
  readonly workerId: string;
  readonly blobs: BlobStore;
  readonly batches: WorkQueue;
  readonly results: WorkQueue;
  readonly poison: WorkQueue;
  readonly engine: EngineProcess;
  readonly heartbeat: HeartbeatSender;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: WorkerMetrics;
  /** Aborted when the worker must release its batch: on an eviction notice or SIGTERM. */
  readonly signal: AbortSignal;
}
