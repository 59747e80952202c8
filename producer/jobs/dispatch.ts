/**
 * Keeps a window of ready batches on the queue, with jobs taking turns, and sends a batch again when it makes no progress.
 *
 * A batch is claimed in the ledger before it is sent, so two producers never send the same batch at the same time. If a producer
 * dies between claim and send, the batch counts as stale later and is sent again. A job at its spending cap sends nothing more
 * (`spending-cap.ts`).
 */
import type { WorkQueue } from '../../shared/azure/work-queue.ts';
import { DEFAULT_ENCODING } from '../../shared/contract/encoding.ts';
import {
  type BatchMessage,
  MESSAGE_VERSION,
  NEW_BATCH_HISTORY,
  encodeMessage,
} from '../../shared/contract/messages.ts';
import { piecesOf } from '../../shared/contract/source-plan.ts';
import { type ClaimedBatch, type LedgerJob, isPaused, priorityOf } from '../../shared/redis/ledger-job.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import type { Spending } from '../../shared/redis/spending.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { ProducerMetrics } from '../metrics.ts';
import { forEachJob } from './for-each-job.ts';
import type { SourcePlans } from './source-plans.ts';
import { hasCap, maySendMore } from './spending-cap.ts';
import { nextInTurn, windowSize } from './take-turns.ts';

/** While a job is split, its batches become ready at any time, and engines may be waiting for the first. */
const PASS_SPLITTING_MS = 200;
/** Each engine has a batch waiting on the queue. */
const PASS_MS = 500;
const PASS_IDLE_MS = 1_000;
/** A batch whose message still seems to be on the queue may wait this many times longer. */
const QUEUED_STALE_FACTOR = 10;
/** How many windows of batches a job may have on the queue, delayed ones included. */
const WINDOWS_PER_JOB = 4;

export interface DispatchServices {
  readonly ledger: Ledger;
  readonly batches: WorkQueue;
  readonly plans: Pick<SourcePlans, 'of'>;
  readonly spending: Pick<Spending, 'ofJobs'>;
  readonly resendMs: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: ProducerMetrics;
}

/** Sends batches once. Returns how long to rest, in milliseconds. */
export async function dispatchPass(services: DispatchServices): Promise<number> {
  const jobs = (await services.ledger.openJobs()).filter((job) => job.state === 'running' && !isPaused(job));
  if (jobs.length === 0) return PASS_IDLE_MS;
  await requeueStaleBatches(services, jobs);
  await fillWindow(services, jobs);
  return jobs.every(({ splitFinished }) => splitFinished) ? PASS_MS : PASS_SPLITTING_MS;
}

/**
 * Marks batches without progress as ready to be sent again. While the queue holds at least as many messages as batches were sent,
 * no message seems lost, and duplicates would not help a fleet that is still booting. Because other programs
 * can put messages there too, a batch is sent again anyway after a much longer time.
 */
async function requeueStaleBatches(
  { ledger, batches, resendMs, clock, log, metrics }: DispatchServices,
  jobs: readonly LedgerJob[],
): Promise<void> {
  const nowMs = clock.now().getTime();
  const overdue = await Promise.all(jobs.map(({ jobId }) => ledger.countStale(jobId, nowMs - resendMs)));
  if (overdue.every((count) => count === 0)) return;
  const sent = jobs.reduce((sum, { batchesOutstanding }) => sum + batchesOutstanding, 0);
  const seemsWhole = (await batches.countApprox()) >= sent;
  const staleMs = seemsWhole ? resendMs * QUEUED_STALE_FACTOR : resendMs;
  const requeue = async ({ jobId }: LedgerJob): Promise<void> => {
    const stale = await ledger.requeueStale(jobId, nowMs - staleMs);
    if (stale === 0) return;
    metrics.batchesResent.inc(stale);
    log.warn({ jobId, batches: stale }, 'stale batches will be sent again');
  };
  await forEachJob(jobs, requeue, { log, doing: 'requeueing stale batches' });
}

async function fillWindow(services: DispatchServices, jobs: readonly LedgerJob[]): Promise<void> {
  const { ledger, clock } = services;
  const window = windowSize(await ledger.engines());
  const nowMs = clock.now().getTime();
  let onQueue = jobs.reduce((sum, job) => sum + batchesVisible(job, nowMs), 0);
  const turns = new Map(
    jobs.map((job) => [
      job.jobId,
      { job, batchesReady: batchesToSend(job, window), lastDispatchedAt: job.lastDispatchedAt },
    ]),
  );
  const cap = await watchCaps(services, jobs);
  for (let turnsTaken = 0; onQueue < window; turnsTaken += 1) {
    const jobId = nextInTurn(
      [...turns.values()].map(({ job, ...turn }) => ({
        jobId: job.jobId,
        priority: priorityOf(job),
        ...turn,
      })),
    );
    const turn = jobId === undefined ? undefined : turns.get(jobId);
    if (turn === undefined) return;
    if (!cap.maySend(turn.job)) {
      turns.delete(turn.job.jobId);
      continue;
    }
    const claimedAtMs = clock.now().getTime();
    try {
      const claimed = await ledger.claimBatch(turn.job, claimedAtMs);
      if (claimed === undefined) {
        turns.delete(turn.job.jobId);
        continue;
      }
      await send(services, turn.job, claimed);
    } catch (error) {
      // An error with one job does not block the others. If every job fails, so does the pass.
      turns.delete(turn.job.jobId);
      if (turns.size === 0) throw error;
      services.log.warn({ jobId: turn.job.jobId, error }, 'batch not sent: will retry on the next pass');
      continue;
    }
    cap.sent(turn.job);
    turn.batchesReady -= 1;
    // Several turns can fall in the same millisecond. The fraction keeps their order.
    turn.lastDispatchedAt = claimedAtMs + turnsTaken / window / 2;
    onQueue += 1;
  }
}

/** Tracks what capped jobs may still send in this pass. Throws if Redis is unreachable, which fails the pass. */
async function watchCaps({ spending }: DispatchServices, jobs: readonly LedgerJob[]) {
  const spent = await spending.ofJobs(jobs.filter(hasCap).map(({ jobId }) => jobId));
  const outstanding = new Map(jobs.map(({ jobId, batchesOutstanding }) => [jobId, batchesOutstanding]));
  return {
    maySend: (job: LedgerJob): boolean =>
      maySendMore(job, spent.get(job.jobId) ?? 0, outstanding.get(job.jobId) ?? 0),
    sent: ({ jobId }: LedgerJob): void => {
      outstanding.set(jobId, (outstanding.get(jobId) ?? 0) + 1);
    },
  };
}

async function send(
  { batches, plans, log, metrics }: DispatchServices,
  { jobId, splitNumber, definition }: LedgerJob,
  { batchIndex, frameStart, frameEnd }: ClaimedBatch,
): Promise<void> {
  const { request, model, epoch, result } = definition;
  const plan = await plans.of({ jobId, splitNumber }, epoch);
  const { contextFrames } = plan;
  const message: BatchMessage = {
    version: MESSAGE_VERSION,
    jobId,
    batchIndex,
    frameStart,
    frameEnd,
    epoch,
    model,
    parameters: request.parameters,
    splitNumber,
    pieces: piecesOf(plan, [Math.max(0, frameStart - (contextFrames ?? 0)), frameEnd]),
    pieceFormat: plan.pieceFormat,
    segmentFrames: plan.segmentFrames,
    ...(contextFrames === undefined ? {} : { contextFrames }),
    picture: plan.picture,
    encoding: request.encoding ?? DEFAULT_ENCODING,
    onFailedFrame: request.onFailedFrame,
    frameImages: request.frameImages ?? null,
    ...(result === 'drawn' && { draw: true }),
    history: NEW_BATCH_HISTORY,
  };
  await batches.send(encodeMessage(message));
  metrics.batchesSent.inc();
  log.debug({ jobId, batchIndex, frameStart, frameEnd }, 'batch sent');
}

/** Batches on the queue without a delay, which an engine can receive now. */
function batchesVisible({ batchesOutstanding, delayedUntilMs }: LedgerJob, nowMs: number): number {
  const delayed = delayedUntilMs.filter((untilMs) => untilMs > nowMs).length;
  return Math.max(0, batchesOutstanding - delayed);
}

/** Limited, so that a job whose batches are all delayed does not put all its other batches on the queue as well. */
function batchesToSend(job: LedgerJob, window: number): number {
  const room = WINDOWS_PER_JOB * window - job.batchesOutstanding;
  return Math.min(batchesReady(job), Math.max(0, room));
}

/** Batches that have all frames stored and are not on the queue. */
function batchesReady({
  batchSize,
  framesSplit,
  splitFinished,
  nextBatch,
  batchesToSendAgain,
}: LedgerJob): number {
  if (batchSize === undefined) return 0;
  const whole = splitFinished ? Math.ceil(framesSplit / batchSize) : Math.floor(framesSplit / batchSize);
  return whole - nextBatch + batchesToSendAgain;
}
