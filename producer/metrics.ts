/** The producer's Prometheus metrics. Labels come from closed sets and never hold an id. */
import { failureKind } from '../shared/contract/messages.ts';
import { Counter, Gauge, type Registry, createRegistry } from '../shared/runtime/metrics.ts';

export interface ProducerMetrics {
  readonly registry: Registry;
  readonly jobsOpen: Gauge;
  readonly jobsEnded: Counter<'state'>;
  readonly framesSplit: Counter;
  readonly framesScored: Counter;
  readonly framesFailed: Counter<'kind'>;
  readonly framesStitched: Counter;
  readonly batchesSent: Counter;
  readonly batchesResent: Counter;
  readonly messagesRefused: Counter<'queue'>;
  readonly poisonMessages: Gauge;
  readonly redrives: Counter;
}

export function producerMetrics(): ProducerMetrics {
  const registry = createRegistry();
  const registers = [registry];
  const counter = (name: string, help: string) => new Counter({ name, help, registers });
  const metrics: ProducerMetrics = {
    registry,
    jobsOpen: new Gauge({
      name: 'framefleet_producer_jobs_open',
      help: 'Jobs that have neither completed nor failed.',
      registers,
    }),
    jobsEnded: new Counter({
      name: 'framefleet_producer_jobs_ended_total',
      help: 'Jobs that ended, by final state.',
      labelNames: ['state'],
      registers,
    }),
    framesSplit: counter(
      'framefleet_producer_frames_split_total',
      'Frames of source videos stored in pieces.',
    ),
    framesScored: counter(
      'framefleet_producer_frames_scored_total',
      'Frames that workers reported as scored. Each frame counts once.',
    ),
    framesFailed: new Counter({
      name: 'framefleet_producer_frames_failed_total',
      help: 'Frames that failed for good, by kind of failure.',
      labelNames: ['kind'],
      registers,
    }),
    framesStitched: counter('framefleet_producer_frames_stitched_total', 'Frames joined into results.'),
    batchesSent: counter(
      'framefleet_producer_batches_sent_total',
      'Batch messages sent to the frame-batches queue.',
    ),
    batchesResent: counter(
      'framefleet_producer_batches_resent_total',
      'Batches queued for resending because they made no progress.',
    ),
    messagesRefused: new Counter({
      name: 'framefleet_producer_messages_refused_total',
      help: 'Malformed messages, by queue.',
      labelNames: ['queue'],
      registers,
    }),
    poisonMessages: new Gauge({
      name: 'framefleet_producer_poison_messages',
      help: 'Approximate number of messages on the poison queue.',
      registers,
    }),
    redrives: counter('framefleet_producer_redrives_total', 'Redrive requests carried out.'),
  };
  // Prometheus computes no increase for a series that first appears at 1, so each series starts at 0.
  for (const state of ['completed', 'failed', 'cancelled'] as const) metrics.jobsEnded.inc({ state }, 0);
  for (const kind of failureKind.options) metrics.framesFailed.inc({ kind }, 0);
  // Absent until the first count, so that a restart does not look like a burst of poison messages.
  metrics.poisonMessages.remove({});
  return metrics;
}
