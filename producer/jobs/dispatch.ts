/**
 * Keeps a window of ready batches on the queue, taking turns between jobs, and sends again what nobody got any further
 * with. A batch is claimed in the ledger before it is sent: two producers never send the same one at the same time, and one
 * that dies in between leaves a batch that is sent again. A job at its cap sends nothing more: see `spending-cap.ts`.
 */
import type { WorkQueue } from '../../shared/azure/work-queue.ts';
import {
  type BatchMessage,
  MESSAGE_VERSION,
  NEW_BATCH_HISTORY,
  encodeMessage,
} from '../../shared/contract/messages.ts';
import type { ClaimedBatch, LedgerJob } from '../../shared/redis/ledger-job.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import type { Spending } from '../../shared/redis/spending.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { ProducerMetrics } from '../metrics.ts';
import { eachJob } from './each-job.ts';
import { hasCap, maySendMore } from './spending-cap.ts';
import { nextInTurn, windowSize } from './take-turns.ts';

const PASS_MS = 200;
const PASS_IDLE_MS = 1_000;
/** So many times as long a batch may wait whose message seems to be there. */
const PATIENCE = 10;
/** Batches that a job may have on the queue, delayed ones included, in windows. */
const WINDOWS_PER_JOB = 4;

export interface DispatchParts {
  readonly ledger: Ledger;
  readonly batches: WorkQueue;
  readonly spending: Pick<Spending, 'ofJobs'>;
  readonly resendMs: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: ProducerMetrics;
}

/** One pass; returns how long to rest. */
export async function dispatchPass(parts: DispatchParts): Promise<number> {
  const jobs = (await parts.ledger.openJobs()).filter(({ state }) => state === 'running');
  if (jobs.length === 0) return PASS_IDLE_MS;
  await sendAgain(parts, jobs);
  await fillWindow(parts, jobs);
  return PASS_MS;
}

/**
 * Makes batches ready again that nobody has got any further with. While the queue holds as many messages as were sent, none
 * seems to have vanished, and a fleet that has not come yet is not helped by more of them. But what stands there may be others':
 * after a much longer time a batch is sent again all the same.
 */
async function sendAgain(
  { ledger, batches, resendMs, clock, log, metrics }: DispatchParts,
  jobs: readonly LedgerJob[],
): Promise<void> {
  const sent = jobs.reduce((sum, { batchesOutstanding }) => sum + batchesOutstanding, 0);
  if (sent === 0) return;
  const seemsWhole = (await batches.countApprox()) >= sent;
  const staleMs = seemsWhole ? resendMs * PATIENCE : resendMs;
  const sendStale = async ({ jobId }: LedgerJob): Promise<void> => {
    const stale = await ledger.requeueStale(jobId, clock.now().getTime() - staleMs);
    if (stale === 0) return;
    metrics.batchesResent.inc(stale);
    log.warn({ jobId, batches: stale }, 'batches got no further and are sent again');
  };
  await eachJob(jobs, sendStale, { log, doing: 'sending stale batches again' });
}

async function fillWindow(parts: DispatchParts, jobs: readonly LedgerJob[]): Promise<void> {
  const { ledger, clock } = parts;
  const window = windowSize(await ledger.engines());
  const nowMs = clock.now().getTime();
  let onQueue = jobs.reduce((sum, job) => sum + batchesVisible(job, nowMs), 0);
  const turns = new Map(
    jobs.map((job) => [
      job.jobId,
      { job, batchesReady: batchesToSend(job, window), lastDispatchedAt: job.lastDispatchedAt },
    ]),
  );
  const cap = await watchCaps(parts, jobs);
  for (let turnsTaken = 0; onQueue < window; turnsTaken += 1) {
    const jobId = nextInTurn(
      [...turns.values()].map(({ job, ...turn }) => ({
        jobId: job.jobId,
        priority: job.definition.request.priority,
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
      const claimed = await ledger.claimBatch(turn.job.jobId, claimedAtMs);
      if (claimed === undefined) {
        turns.delete(turn.job.jobId);
        continue;
      }
      await send(parts, turn.job, claimed);
    } catch (error) {
      // What is wrong with one job does not keep the others waiting; with the last of them it is the pass that fails.
      turns.delete(turn.job.jobId);
      if (turns.size === 0) throw error;
      parts.log.warn({ jobId: turn.job.jobId, error }, 'batch not sent: the next pass tries it again');
      continue;
    }
    cap.sent(turn.job);
    turn.batchesReady -= 1;
    // Several turns fall into one millisecond: they keep their order all the same.
    turn.lastDispatchedAt = claimedAtMs + turnsTaken / window / 2;
    onQueue += 1;
  }
}

/** What jobs with a cap may still send in this pass. Without Redis nothing is known of it, and the pass fails. */
async function watchCaps({ spending }: DispatchParts, jobs: readonly LedgerJob[]) {
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
  { batches, log, metrics }: DispatchParts,
  { jobId, definition }: LedgerJob,
  { batchIndex, frameStart, frameEnd }: ClaimedBatch,
): Promise<void> {
  const { request, model, epoch } = definition;
  const message: BatchMessage = {
    version: MESSAGE_VERSION,
    jobId,
    batchIndex,
    frameStart,
    frameEnd,
    epoch,
    model,
    parameters: request.parameters,
    frameFormat: 'jpg',
    history: NEW_BATCH_HISTORY,
  };
  await batches.send(encodeMessage(message));
  metrics.batchesSent.inc();
  log.debug({ jobId, batchIndex, frameStart, frameEnd }, 'batch sent');
}

/** On the queue, and not released with a delay: what an engine may receive now. */
function batchesVisible({ batchesOutstanding, delayedUntilMs }: LedgerJob, nowMs: number): number {
  const delayed = delayedUntilMs.filter((untilMs) => untilMs > nowMs).length;
  return Math.max(0, batchesOutstanding - delayed);
}

/** A job whose batches are all delayed does not send the rest of them after those. */
function batchesToSend(job: LedgerJob, window: number): number {
  const room = WINDOWS_PER_JOB * window - job.batchesOutstanding;
  return Math.min(batchesReady(job), Math.max(0, room));
}

/** Batches whose frames are all stored and that are not on the queue. */
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
