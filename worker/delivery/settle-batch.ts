/**
 * The end of a delivery. `settlement` chooses one of five ways; this file reports to the job and settles the message.
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
  cutText,
  encodeMessage,
} from '../../shared/contract/messages.ts';
import { toRanges } from '../../shared/contract/ranges.ts';
import type { ScoredFrame } from '../engine/protocol.ts';
import { logFrames } from './frame-log.ts';
import type { Lease } from './lease.ts';
import type { DeliveryProgress } from './progress.ts';
import { readFailures } from './resolved-frames.ts';
import { giveUpFrames } from './run-batch.ts';
import type { DeliveryServices } from './services.ts';
import { type DeliveryOutcome, chooseSettlement } from './settlement.ts';

/** These interruptions say nothing about batches of other jobs. The producer learns the delay and sends those meanwhile. */
const DELAYS_REPORTED = new Set<string | undefined>(['model', 'engine', 'passing-on', 'piece']);

export interface EndedDelivery {
  readonly message: ReceivedMessage;
  readonly lease: Lease;
  readonly outcome: DeliveryOutcome;
  readonly progress: DeliveryProgress;
  /** As `BusyTime` counts it. */
  readonly wallSeconds: number;
}

/** Tells the job how far a delivery is. Best effort: the result at its end says the same. */
export async function reportProgress(
  { batch, progress }: { readonly batch: BatchMessage; readonly progress: DeliveryProgress },
  { results, workerId: worker, log }: DeliveryServices,
  signal: AbortSignal,
): Promise<void> {
  const { all, replaced } = progress.storedFrames();
  const scored = [...all].filter((frameIndex) => !replaced.has(frameIndex));
  const content = resultOf({ batch, worker, scored, failed: [], run: [], wallSeconds: 0 });
  try {
    await results.send(encodeMessage({ ...content, underway: progress.underway }), { signal });
  } catch (error) {
    log.debug({ jobId: batch.jobId, batchIndex: batch.batchIndex, error }, 'progress not reported');
  }
}

export async function settleBatch(ended: EndedDelivery, services: DeliveryServices): Promise<void> {
  const { lease, outcome, progress, wallSeconds } = ended;
  const { engine, heartbeat, log, metrics } = services;
  const { batch, dequeueCount } = outcome;
  const settlement = chooseSettlement(outcome);
  const run = progress.scored;
  metrics.batches.inc({ settled: settlement.kind });
  heartbeat.recordDelivery({
    batch,
    frames: run,
    // An image that cannot be read says nothing of this worker.
    failed: outcome.failures.filter(({ kind }) => kind !== 'source').length,
    wallSeconds,
    executionProvider: engine.executionProvider,
  });
  switch (settlement.kind) {
    case 'complete':
      await sendResult(ended, {}, services);
      await lease.complete();
      break;
    case 'poison':
      await giveUpFrames({ ...ended, batch }, settlement.givenUp, services);
      await sendResult(ended, { isLast: true }, services);
      await lease.complete();
      break;
    case 'mismatch':
      await sendResult(ended, { mismatch: settlement.message }, services);
      await lease.complete();
      break;
    case 'release': {
      const { givenUp, delaySeconds, history } = settlement;
      await giveUpFrames({ ...ended, batch }, givenUp, services);
      // Not during a storage outage: then batches of other jobs would not run either.
      const isReported = delaySeconds > 0 && DELAYS_REPORTED.has(outcome.interruption?.kind);
      if (isReported || outcome.newlyStored > 0)
        await sendResult(ended, isReported ? { delaySeconds } : {}, services);
      await lease.release({ text: encodeMessage({ ...batch, history }), delaySeconds });
      break;
    }
    case 'drop':
      await lease.complete();
      break;
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
      failed: outcome.failures.length,
      givenUp: progress.givenUp.size,
      wallSeconds,
    },
    'delivery ended',
  );
  await logFrames(outcome, progress, services);
}

interface ResultDetails {
  /** Set if the batch is released with a delay. */
  readonly delaySeconds?: number;
  readonly mismatch?: string;
  /** Also reports frames that are given up and whose segments are not stored, because they never will be. */
  readonly isLast?: boolean;
}

/** Sends the result message. Includes what earlier deliveries stored, because their reports may have been lost. */
async function sendResult(
  { outcome, progress, wallSeconds }: EndedDelivery,
  { isLast = false, mismatch, delaySeconds }: ResultDetails,
  { results, blobs }: DeliveryServices,
): Promise<void> {
  const { batch, worker } = outcome;
  const { all, replaced } = progress.storedFrames();
  const reported = isLast ? new Set([...replaced, ...progress.givenUp.keys()]) : replaced;
  const known = [...progress.givenUp.values()].filter((frame) => frame !== null);
  const fresh = known.filter(({ frameIndex }) => reported.has(frameIndex));
  const isFresh = new Set(fresh.map(({ frameIndex }) => frameIndex));
  const earlier = [...reported].filter((frameIndex) => !isFresh.has(frameIndex));
  const failed = [...(await readFailures(batch, earlier, blobs)), ...fresh];
  const scored = [...all].filter((frameIndex) => !replaced.has(frameIndex));
  const content = { batch, worker, scored, failed, run: progress.scored, wallSeconds };
  await results.send(
    encodeMessage({
      ...resultOf(content),
      ...(mismatch === undefined ? {} : { mismatch: cutText(mismatch) }),
      ...(delaySeconds === undefined ? {} : { delaySeconds }),
    }),
  );
}

/** What a result message says of frames, before it is encoded. */
export interface ResultContent {
  readonly batch: BatchMessage;
  readonly worker: string;
  readonly scored: Iterable<number>;
  /** Frames that are given up, in this delivery or before. */
  readonly failed: readonly FailedFrame[];
  /** What this delivery scored and stored. */
  readonly run: readonly ScoredFrame[];
  readonly wallSeconds: number;
}

export function resultOf(content: ResultContent): ResultMessage {
  const { batch, worker, scored, failed, run, wallSeconds } = content;
  const stageSeconds: StageSeconds = { fetch: 0, decode: 0, infer: 0, encode: 0, store: 0 };
  for (const frame of run) for (const stage of STAGES) stageSeconds[stage] += frame.stageSeconds[stage];
  return {
    version: MESSAGE_VERSION,
    jobId: batch.jobId,
    batchIndex: batch.batchIndex,
    epoch: batch.epoch,
    splitNumber: batch.splitNumber,
    worker,
    scored: toRanges(scored),
    failed: groupByReason(failed),
    underway: 0,
    framesRun: run.length,
    megapixels: run.reduce((sum, { megapixels }) => sum + megapixels, 0),
    wallSeconds,
    stageSeconds,
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
