/**
 * One delivery of a valid batch: list what storage has, run the open frames on the engine, settle.
 *
 * An engine that crashes, hangs or runs out of memory is started again, with the lease held throughout. `history` and `next-run`
 * decide what to run; `settle-batch` ends the delivery in exactly one of four ways.
 *
 *   ReceivedBatch     a valid message under its lease, from `loop`
 *   DeliveryStart     the batch's history and what storage has; `history` makes a DeliveryPlan of it
 *   DeliveryProgress  what became of each frame so far, written while frames run
 *   DeliveryOutcome   how the delivery went; `settlement` makes a Settlement of it
 *   EndedDelivery     the outcome with message, lease and progress, for `settle-batch` to report and settle
 */
import type { ReceivedMessage } from '../../shared/azure/work-queue.ts';
import { type BatchMessage, encodeMessage } from '../../shared/contract/messages.ts';
import { toRanges } from '../../shared/contract/ranges.ts';
import type { RunEnd } from '../engine/engine-process.ts';
import { type DeliveryPlan, planDelivery } from './history.ts';
import type { Lease } from './lease.ts';
import { afterDeath, keepOpen, nextRun, planRuns } from './next-run.ts';
import { poisonFrames } from './poison.ts';
import {
  type DeliveryProgress,
  failuresOf,
  isOpen,
  newProgress,
  recordFatalFrame,
  recordTo,
} from './progress.ts';
import { type ResolvedFrames, listResolvedFrames } from './resolved-frames.ts';
import type { DeliveryServices } from './services.ts';
import { sendResult, settleBatch } from './settle-batch.ts';
import { type RunInterruption, framesOf, releaseUnstarted } from './settlement.ts';

/** If this many frames in a row fail because of storage, single frames are not the cause. */
const STORAGE_FAILURES_MIN = 2;
const STORAGE_UNAVAILABLE: RunInterruption = { kind: 'storage', message: 'storage is unavailable' };

export interface ReceivedBatch {
  readonly message: ReceivedMessage;
  readonly lease: Lease;
  readonly batch: BatchMessage;
  /** The `dequeueCount` of this worker's previous delivery of the batch, if any. */
  readonly survivedDelivery: number | undefined;
}

export async function workBatch(received: ReceivedBatch, services: DeliveryServices): Promise<void> {
  const { message, lease, survivedDelivery } = received;
  const { clock, workerId, blobs, log } = services;
  const startedAtMs = clock.monotonicMs();
  const resolved = await listResolvedFrames(received.batch, blobs).catch(async (error: unknown) => {
    await releaseWithoutListing(received, services);
    throw error;
  });
  const frames = framesOf(received.batch);
  const plan = planDelivery({
    history: received.batch.history,
    dequeueCount: message.dequeueCount,
    frames,
    resolved: new Set([...resolved.scored, ...resolved.failed]),
    worker: workerId,
    survivedDelivery,
  });
  const batch = { ...received.batch, history: plan.history };
  const progress = newProgress();
  const failedBefore = new Set([...resolved.failed, ...plan.givenUp.map(({ frameIndex }) => frameIndex)]);

  log.info(
    {
      jobId: batch.jobId,
      batchIndex: batch.batchIndex,
      attempt: message.dequeueCount,
      approach: plan.approach,
      frames: frames.length,
      found: resolved.scored.size + resolved.failed.size,
    },
    'batch received',
  );
  if (plan.mustSave) await lease.save(encodeMessage(batch));
  if (lease.state === 'held') await giveUpBeforeRun(message, batch, resolved, plan, services);
  const open = frames.filter(
    (frameIndex) => !resolved.scored.has(frameIndex) && !failedBefore.has(frameIndex),
  );
  let interruption: RunInterruption | null = null;
  if (open.length > 0 && lease.state === 'held') {
    interruption =
      plan.approach === 'pass-on'
        ? { kind: 'passing-on' }
        : await runFrames({ batch, frames: open, suspects: plan.suspects, lease, progress }, services);
  }

  const outcome = {
    batch,
    worker: workerId,
    dequeueCount: message.dequeueCount,
    leaseLost: lease.state === 'lost',
    interruption,
    failedBefore,
    scored: new Set([...resolved.scored, ...progress.stored.keys()]),
    newlyStored: progress.stored.size,
    failures: failuresOf(progress),
  };
  const wallSeconds = (clock.monotonicMs() - startedAtMs) / 1000;
  await settleBatch({ message, lease, outcome, progress, wallSeconds }, services);
}

/** Storage cannot list the frames: release the batch. The error that the caller throws makes this worker rest. */
async function releaseWithoutListing(
  { message: { dequeueCount }, lease, batch }: ReceivedBatch,
  { metrics }: DeliveryServices,
): Promise<void> {
  metrics.batches.inc({ settled: 'release' });
  const { delaySeconds, history } = releaseUnstarted({ batch, dequeueCount });
  await lease.release({ text: encodeMessage({ ...batch, history }), delaySeconds });
}

/** Reports frames that are given up without another attempt, before anything else can kill this worker too. */
async function giveUpBeforeRun(
  message: ReceivedMessage,
  batch: BatchMessage,
  { scored }: ResolvedFrames,
  { givenUp }: DeliveryPlan,
  services: DeliveryServices,
): Promise<void> {
  if (givenUp.length === 0) return;
  await poisonFrames(message, batch, givenUp, services);
  const result = { batch, worker: services.workerId, scored, failed: givenUp, run: [], wallSeconds: 0 };
  await sendResult(result, givenUp, services);
}

interface FramesToRun {
  /** With its history as of the start of this delivery. */
  readonly batch: BatchMessage;
  readonly frames: readonly number[];
  /** The frames that must run alone. */
  readonly suspects: readonly number[];
  readonly lease: Lease;
  readonly progress: DeliveryProgress;
}

/** Runs frames until each is stored or has failed. Returns why it ended earlier, or null. Writes `progress` as frames end. */
async function runFrames(work: FramesToRun, services: DeliveryServices): Promise<RunInterruption | null> {
  const { batch, lease, progress } = work;
  const { engine, framesInFlight, log, metrics, signal } = services;
  const { jobId, batchIndex, model, parameters } = batch;
  // Storage is unavailable once everything in flight has failed because of it and nothing was stored: the rest need not be tried.
  const away = new AbortController();
  const listener = recordTo(progress, metrics, () => {
    if (progress.storageFailuresInARow >= Math.max(STORAGE_FAILURES_MIN, framesInFlight)) away.abort();
  });
  const discard = AbortSignal.any([lease.signal, away.signal]);
  const run = (frames: readonly number[], atOnce: number): Promise<RunEnd> =>
    engine.run({ jobId, frames: toRanges(frames), framesInFlight: atOnce, model, parameters }, listener, {
      stop: signal,
      discard,
    });
  const mustStop = (): boolean => signal.aborted || away.signal.aborted || lease.state !== 'held';
  const isStillOpen = (frameIndex: number): boolean => isOpen(progress, frameIndex);

  progress.runPlan = planRuns(work.frames, work.suspects);
  for (;;) {
    const plan = keepOpen(progress.runPlan, isStillOpen);
    if (signal.aborted) return plan.open.length > 0 ? { kind: 'draining' } : null;
    if (lease.state !== 'held') return null;
    if (away.signal.aborted) return STORAGE_UNAVAILABLE;

    const next = nextRun(plan);
    if (next.kind === 'done')
      return progress.storageFailuresInARow >= STORAGE_FAILURES_MIN ? STORAGE_UNAVAILABLE : null;
    if (next.kind === 'stop')
      return { kind: 'engine', message: progress.lastDeath ?? 'the engine cannot run this batch' };
    if (next.kind === 'fail-frame') {
      recordFatalFrame(progress, next.frameIndex, next.deaths);
      continue;
    }
    if (next.kind === 'alone') {
      if (!(await lease.save(textWith(batch, next.frameIndex))))
        return lease.state === 'held' ? { kind: 'storage', message: 'the lease could not be renewed' } : null;
      log.info({ jobId, batchIndex, frame: next.frameIndex }, 'trying frame alone');
    }
    const tried = next.kind === 'alone' ? [next.frameIndex] : next.frames;
    const end = await run(tried, next.kind === 'alone' ? 1 : framesInFlight);
    if (next.kind === 'alone') lease.setTextForNextRenewal(textWith(batch, null));

    if (end.kind === 'refused') return { ...end.refusal };
    if (mustStop()) continue;
    if (end.kind === 'died') {
      progress.lastDeath = end.message;
      progress.runPlan = afterDeath(plan, end.computing.filter(isStillOpen));
      log.warn(
        { jobId, batchIndex, suspects: progress.runPlan.suspects, reason: end.message },
        'engine died during batch',
      );
    } else if (tried.some(isStillOpen)) {
      return { kind: 'engine', message: 'the engine ended its run without reporting every frame' };
    }
  }
}

/** The message as it stands while a frame runs alone: if this worker dies, the next one knows which frame it was. */
function textWith(batch: BatchMessage, carefulFrame: number | null): string {
  return encodeMessage({ ...batch, history: { ...batch.history, carefulFrame } });
}
