/** What the worker counts. Labels are from closed sets, never an id. */
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
}

export function workerMetrics(): WorkerMetrics {
  const registry = createRegistry();
  const registers = [registry];
  const metrics: WorkerMetrics = {
    registry,
    busy: new Gauge({
      name: 'framefleet_worker_busy',
      help: '1 while the worker holds a lease, else 0.',
      registers,
    }),
    framesStored: new Counter({
      name: 'framefleet_worker_frames_stored_total',
      help: 'Frames scored and stored.',
      registers,
    }),
    framesFailed: new Counter({
      name: 'framefleet_worker_frames_failed_total',
      help: 'Tries of a frame that failed, by kind.',
      labelNames: ['kind'],
      registers,
    }),
    stageSeconds: new Counter({
      name: 'framefleet_worker_stage_seconds_total',
      help: 'Time frames spent in each stage; stages overlap.',
      labelNames: ['stage'],
      registers,
    }),
    megapixels: new Counter({
      name: 'framefleet_worker_megapixels_total',
      help: 'Input pixels scored, in millions.',
      registers,
    }),
    batches: new Counter({
      name: 'framefleet_worker_batches_total',
      help: 'Deliveries of batches, by how they were settled.',
      labelNames: ['settled'],
      registers,
    }),
    leaseRenewals: new Counter({
      name: 'framefleet_worker_lease_renewals_total',
      help: 'Renewals of leases, by outcome.',
      labelNames: ['outcome'],
      registers,
    }),
    leasesLost: new Counter({
      name: 'framefleet_worker_leases_lost_total',
      help: 'Leases that were lost.',
      registers,
    }),
    engineDeaths: new Counter({
      name: 'framefleet_worker_engine_deaths_total',
      help: 'Engine processes that died, or hung and were killed.',
      labelNames: ['how'],
      registers,
    }),
    poisoned: new Counter({
      name: 'framefleet_worker_poison_total',
      help: 'Entries put on the poison queue, by reason.',
      labelNames: ['reason'],
      registers,
    }),
    evictions: new Counter({
      name: 'framefleet_worker_evictions_total',
      help: 'Notices that the machine goes, by the kind of event.',
      labelNames: ['event'],
      registers,
    }),
    executionProvider: new Gauge({
      name: 'framefleet_worker_execution_provider_info',
      help: '1 for the execution provider in force.',
      labelNames: ['provider'],
      registers,
    }),
  };
  // Prometheus does not see the first of what it has never seen at 0.
  for (const stage of STAGES satisfies readonly Stage[]) metrics.stageSeconds.inc({ stage }, 0);
  for (const reason of POISON_REASONS) metrics.poisoned.inc({ reason }, 0);
  for (const how of ['died', 'stuck'] as const) metrics.engineDeaths.inc({ how }, 0);
  for (const event of EVICTION_TYPES) metrics.evictions.inc({ event }, 0);
  return metrics;
}
