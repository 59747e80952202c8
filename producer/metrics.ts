/** What the producer counts. Labels are from closed sets, never an id. */
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
      help: 'Jobs that are neither completed nor failed.',
      registers,
    }),
    jobsEnded: new Counter({
      name: 'framefleet_producer_jobs_ended_total',
      help: 'Jobs that came to an end, by how.',
      labelNames: ['state'],
      registers,
    }),
    framesSplit: counter(
      'framefleet_producer_frames_split_total',
      'Frames decoded from a source and stored.',
    ),
    framesScored: counter(
      'framefleet_producer_frames_scored_total',
      'Frames that workers reported as scored, each once.',
    ),
    framesFailed: new Counter({
      name: 'framefleet_producer_frames_failed_total',
      help: 'Frames that workers gave up, by kind of failure.',
      labelNames: ['kind'],
      registers,
    }),
    framesStitched: counter(
      'framefleet_producer_frames_stitched_total',
      'Frames given to the encoder of a result.',
    ),
    batchesSent: counter('framefleet_producer_batches_sent_total', 'Batch messages sent to frame-batches.'),
    batchesResent: counter(
      'framefleet_producer_batches_resent_total',
      'Batches made ready again because nobody got any further with them.',
    ),
    messagesRefused: new Counter({
      name: 'framefleet_producer_messages_refused_total',
      help: 'Messages that could not be read, by queue.',
      labelNames: ['queue'],
      registers,
    }),
    poisonMessages: new Gauge({
      name: 'framefleet_producer_poison_messages',
      help: 'Entries on the poison queue, about.',
      registers,
    }),
    redrives: counter('framefleet_producer_redrives_total', 'Failures of ended jobs tried again on request.'),
  };
  // Prometheus does not see the first of what it has never seen at 0.
  for (const state of ['completed', 'failed'] as const) metrics.jobsEnded.inc({ state }, 0);
  for (const kind of failureKind.options) metrics.framesFailed.inc({ kind }, 0);
  // Not shown before it was counted: a restart is no burst of poison.
  metrics.poisonMessages.remove({});
  return metrics;
}
