/**
 * Keeps a window of ready batches on the queue, taking turns between jobs, and sends again what nobody got any further
 * with. A batch is claimed in the ledger before it is sent: two producers never send the same one at the same time, and one
 * that dies in between leaves a batch that is sent again.
 */
import type { WorkQueue } from '../shared/azure/work-queue.ts';
import {
  type BatchMessage,
  MESSAGE_VERSION,
  NEW_BATCH_HISTORY,
  encodeMessage,
} from '../shared/contract/messages.ts';
import { type Ledger, type LedgerJob, batchRange } from '../shared/control/ledger.ts';
import type { Clock } from '../shared/runtime/clock.ts';
import type { Log } from '../shared/runtime/log.ts';
import type { ProducerMetrics } from './metrics.ts';
import { nextInTurn, windowSize } from './take-turns.ts';

const PASS_MS = 200;
const PASS_IDLE_MS = 1_000;

export interface DispatchParts {
  readonly ledger: Ledger;
  readonly batches: WorkQueue;
  readonly resendMs: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: ProducerMetrics;
}

/** One pass; returns how long to rest. */
export async function dispatchPass(parts: DispatchParts): Promise<number> {
  const { ledger, resendMs, clock, log, metrics } = parts;
  const jobs = (await ledger.openJobs()).filter(({ state }) => state === 'running');
  if (jobs.length === 0) return PASS_IDLE_MS;

  for (const { jobId, batchesOutstanding } of jobs) {
    if (batchesOutstanding === 0) continue;
    const stale = await ledger.requeueStale(jobId, clock.now().getTime() - resendMs);
    if (stale === 0) continue;
    metrics.batchesResent.inc(stale);
    log.warn({ jobId, batches: stale }, 'batches got no further and are sent again');
  }

  const window = windowSize(await ledger.engines());
  let onQueue = jobs.reduce((sum, { batchesOutstanding }) => sum + batchesOutstanding, 0);
  const turns = new Map(
    jobs.map((job) => [
      job.jobId,
      { job, batchesReady: batchesReady(job), lastDispatchedAt: job.lastDispatchedAt },
    ]),
  );
  while (onQueue < window) {
    const jobId = nextInTurn(
      [...turns.values()].map(({ job, ...turn }) => ({
        jobId: job.jobId,
        priority: job.definition.request.priority,
        ...turn,
      })),
    );
    const turn = jobId === undefined ? undefined : turns.get(jobId);
    if (turn === undefined) break;
    const nowMs = clock.now().getTime();
    const batchIndex = await ledger.claimBatch(turn.job.jobId, nowMs);
    if (batchIndex === undefined) {
      turns.delete(turn.job.jobId);
      continue;
    }
    await send(parts, turn.job, batchIndex);
    turn.batchesReady -= 1;
    turn.lastDispatchedAt = nowMs;
    onQueue += 1;
  }
  return PASS_MS;
}

async function send(
  { batches, log, metrics }: DispatchParts,
  job: LedgerJob,
  batchIndex: number,
): Promise<void> {
  const [frameStart, frameEnd] = batchRange(batchIndex, {
    batchSize: job.batchSize ?? 1,
    frameCount: job.framesSplit,
  });
  const { request, model, epoch } = job.definition;
  const message: BatchMessage = {
    version: MESSAGE_VERSION,
    jobId: job.jobId,
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
  log.debug({ jobId: job.jobId, batchIndex, frameStart, frameEnd }, 'batch sent');
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
