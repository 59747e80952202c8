/** The worker's metrics. Labels come from closed sets, never from ids. */
import { POISON_REASONS, STAGES, type Stage } from '../shared/contract/messages.ts';
import { Counter, Gauge, type Registry, createRegistry } from '../shared/runtime/metrics.ts';
import { EVICTION_TYPES } from './host/scheduled-events-document.ts';

export interface WorkerMetrics {
  readonly registry: Registry;
  readonly busy: Gauge;
  readonly framesStored: Counter;
  readonly framesFailed: Counter<'kind'>;
  readonly stageSeconds: Counter<'stage'>;
  readonly megapixels: Counter;
  readonly batches: Counter<'settled'>;
  readonly leaseRenewals: Counter<'outcome'>;
  readonly leasesLost: Counter;
  readonly engineDeaths: Counter<'how'>;
  readonly poisoned: Counter<'reason'>;
  readonly evictions: Counter<'event'>;
  readonly executionProvider: Gauge<'provider'>;
  readonly microBatchFrames: Gauge;
}

export function workerMetrics(): WorkerMetrics {
  const registry = createRegistry();
  const registers = [registry];
  const metrics: WorkerMetrics = {
    registry,
    busy: new Gauge({
      name: 'framefleet_worker_busy',
      help: '1 while the worker holds a lease, otherwise 0.',
      registers,
    }),
    framesStored: new Counter({
      name: 'framefleet_worker_frames_stored_total',
      help: 'Frames scored and stored.',
      registers,
    }),
    framesFailed: new Counter({
      name: 'framefleet_worker_frames_failed_total',
      help: 'Failed attempts at a frame, by kind.',
      labelNames: ['kind'],
      registers,
    }),
    stageSeconds: new Counter({
      name: 'framefleet_worker_stage_seconds_total',
      help: 'Seconds that frames spent in each stage. Stages overlap.',
      labelNames: ['stage'],
      registers,
    }),
    megapixels: new Counter({
      name: 'framefleet_worker_megapixels_total',
      help: 'Millions of input pixels scored.',
      registers,
    }),
    batches: new Counter({
      name: 'framefleet_worker_batches_total',
      help: 'Deliveries of messages, by how they were settled.',
      labelNames: ['settled'],
      registers,
    }),
    leaseRenewals: new Counter({
      name: 'framefleet_worker_lease_renewals_total',
      help: 'Lease renewals, by outcome.',
      labelNames: ['outcome'],
      registers,
    }),
    leasesLost: new Counter({
      name: 'framefleet_worker_leases_lost_total',
      help: 'Leases lost.',
      registers,
    }),
    engineDeaths: new Counter({
      name: 'framefleet_worker_engine_deaths_total',
      help: 'Engine processes that died, or were stuck and killed.',
      labelNames: ['how'],
      registers,
    }),
    poisoned: new Counter({
      name: 'framefleet_worker_poison_total',
      help: 'Entries sent to the poison queue, by reason.',
      labelNames: ['reason'],
      registers,
    }),
    evictions: new Counter({
      name: 'framefleet_worker_evictions_total',
      help: 'Eviction notices for this instance, by event type.',
      labelNames: ['event'],
      registers,
    }),
    executionProvider: new Gauge({
      name: 'framefleet_worker_execution_provider_info',
      help: '1 for the execution provider in use.',
      labelNames: ['provider'],
      registers,
    }),
    microBatchFrames: new Gauge({
      name: 'framefleet_worker_micro_batch_frames',
      help: 'Frames in one run of the model.',
      registers,
    }),
  };
  // Prometheus misses the first increase of a series that was never exported as 0.
  for (const stage of STAGES satisfies readonly Stage[]) metrics.stageSeconds.inc({ stage }, 0);
  for (const reason of POISON_REASONS) metrics.poisoned.inc({ reason }, 0);
  for (const how of ['died', 'stuck'] as const) metrics.engineDeaths.inc({ how }, 0);
  for (const event of EVICTION_TYPES) metrics.evictions.inc({ event }, 0);
  return metrics;
}
