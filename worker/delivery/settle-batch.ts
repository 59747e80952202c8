/**
 * The end of a delivery. `settlement` chooses one of four ways; this file reports to the job and settles the message.
 *
 * The report is sent before the message is deleted or released. A worker that is killed in between causes a second report, which
 * does no harm.
 */
import type { ReceivedMessage } from '../../shared/azure/work-queue.ts';
import type { FailedFrame } from '../../shared/contract/failed-frame.ts';
import { FAILURE_REASONS_MAX } from '../../shared/contract/limits.ts';
import {
  type BatchMessage,
  type FailureKind,
  MESSAGE_VERSION,
  type ResultMessage,
  STAGES,
  type StageSeconds,
  encodeMessage,
} from '../../shared/contract/messages.ts';
import { toRanges } from '../../shared/contract/ranges.ts';
import type { StoredFrame } from '../engine/protocol.ts';
import { logFrames } from './frame-log.ts';
import type { Lease } from './lease.ts';
import { poisonFrames } from './poison.ts';
import type { DeliveryProgress } from './progress.ts';
import { putFailures, readFailures } from './resolved-frames.ts';
import type { DeliveryServices } from './services.ts';
import { type DeliveryOutcome, chooseSettlement } from './settlement.ts';

/** These interruptions say nothing about batches of other jobs. The producer learns the delay and sends those meanwhile. */
const DELAYS_REPORTED = new Set<string | undefined>(['model', 'engine', 'passing-on']);

export interface EndedDelivery {
  readonly message: ReceivedMessage;
  readonly lease: Lease;
  readonly outcome: DeliveryOutcome;
  readonly progress: DeliveryProgress;
  readonly wallSeconds: number;
}

export async function settleBatch(ended: EndedDelivery, services: DeliveryServices): Promise<void> {
  const { lease, outcome, progress, wallSeconds } = ended;
  const { engine, heartbeat, log, metrics } = services;
  const { batch, dequeueCount } = outcome;
  const settlement = chooseSettlement(outcome);
  const run = [...progress.stored.values()];
  metrics.batches.inc({ settled: settlement.kind });
  heartbeat.recordDelivery({
    batch,
    frames: run,
    failedAs: outcome.failures.map(({ kind }) => kind),
    wallSeconds,
    executionProvider: engine.executionProvider,
  });
  switch (settlement.kind) {
    case 'complete':
    case 'poison':
      await sendFinalResult(ended, settlement.givenUp, undefined, services);
      await lease.complete();
      break;
    case 'release': {
      const { givenUp, delaySeconds, history } = settlement;
      // Not during a storage outage: then batches of other jobs would not run either.
      const isReported = delaySeconds > 0 && DELAYS_REPORTED.has(outcome.interruption?.kind);
      if (isReported || outcome.newlyStored > 0 || givenUp.length > 0)
        await sendFinalResult(ended, givenUp, isReported ? delaySeconds : undefined, services);
      await lease.release({ text: encodeMessage({ ...batch, history }), delaySeconds });
      break;
    }
    case 'leave':
      break;
  }
  log.info(
    {
      jobId: batch.jobId,
      batchIndex: batch.batchIndex,
      attempt: dequeueCount,
      settled: settlement.kind,
      lease: lease.state,
      interruption: outcome.interruption?.kind ?? null,
      frames: batch.frameEnd - batch.frameStart,
      stored: run.length,
      failed: progress.failed.size,
      givenUp: settlement.kind === 'leave' ? 0 : settlement.givenUp.length,
      wallSeconds,
    },
    'delivery ended',
  );
  await logFrames(outcome, progress, services);
}

async function sendFinalResult(
  { message, outcome, progress, wallSeconds }: EndedDelivery,
  givenUp: readonly FailedFrame[],
  delaySeconds: number | undefined,
  services: DeliveryServices,
): Promise<void> {
  const { batch, worker, scored, failedBefore } = outcome;
  // Includes frames given up before, because an earlier report may have been lost.
  const failed = [...(await readFailures(batch.jobId, failedBefore, services.blobs)), ...givenUp];
  const run = [...progress.stored.values()];
  await poisonFrames(message, batch, givenUp, services);
  await sendResult({ batch, worker, scored, failed, run, wallSeconds, delaySeconds }, givenUp, services);
}

/** Records the frames that are given up, then sends the result message. Safe to repeat. */
export async function sendResult(
  content: ResultContent,
  givenUp: readonly FailedFrame[],
  services: DeliveryServices,
): Promise<void> {
  await putFailures(content.batch, givenUp, services);
  await services.results.send(encodeMessage(resultOf(content)));
}

/** What a result message says, before it is encoded. */
export interface ResultContent {
  readonly batch: BatchMessage;
  readonly worker: string;
  readonly scored: Iterable<number>;
  /** Frames that are given up, in this delivery or before. */
  readonly failed: readonly FailedFrame[];
  /** What this delivery stored. */
  readonly run: readonly StoredFrame[];
  readonly wallSeconds: number;
  /** Set if the batch is released with a delay. */
  readonly delaySeconds?: number | undefined;
}

export function resultOf(content: ResultContent): ResultMessage {
  const { batch, worker, scored, failed, run, wallSeconds, delaySeconds } = content;
  const stageSeconds: StageSeconds = { fetch: 0, decode: 0, infer: 0, encode: 0, store: 0 };
  for (const frame of run) for (const stage of STAGES) stageSeconds[stage] += frame.stageSeconds[stage];
  return {
    version: MESSAGE_VERSION,
    jobId: batch.jobId,
    batchIndex: batch.batchIndex,
    epoch: batch.epoch,
    worker,
    scored: toRanges(scored),
    failed: groupByReason(failed),
    framesRun: run.length,
    megapixels: run.reduce((sum, { megapixels }) => sum + megapixels, 0),
    wallSeconds,
    stageSeconds,
    ...(delaySeconds === undefined ? {} : { delaySeconds }),
  };
}

/** Frames with the same reason share an entry. If there are too many reasons, the later ones of a kind share an entry. */
function groupByReason(failed: readonly FailedFrame[]): ResultMessage['failed'] {
  const groups = new Map<string, { kind: FailureKind; message: string; frames: number[] }>();
  for (const { frameIndex, kind, message } of failed) {
    const own = `${kind} ${message}`;
    const key = groups.has(own) || groups.size < FAILURE_REASONS_MAX / 2 ? own : kind;
    const group = groups.get(key) ?? {
      kind,
      message: key === own ? message : 'several reasons: see the frame log',
      frames: [],
    };
    group.frames.push(frameIndex);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ kind, message, frames }) => ({
    kind,
    message,
    frames: toRanges(frames),
  }));
}
