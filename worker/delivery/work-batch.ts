/**
 * One delivery of a valid batch: list what storage has, run the open segments on the engine, settle.
 *
 * An engine that crashes, hangs or runs out of memory is started again, with the lease held throughout. `history` and `next-run`
 * decide what to run; `settle-batch` ends the delivery in exactly one of five ways.
 *
 *   ReceivedBatch     a valid message under its lease, from `loop`
 *   DeliveryStart     the batch's history and what storage has; `history` makes a DeliveryPlan of it
 *   DeliveryProgress  what became of each segment so far, written while the engine runs
 *   DeliveryOutcome   how the delivery went; `settlement` makes a Settlement of it
 *   EndedDelivery     the outcome with message, lease and progress, for `settle-batch` to report and settle
 */
import type { ReceivedMessage } from '../../shared/azure/work-queue.ts';
import { type BatchMessage, encodeMessage } from '../../shared/contract/messages.ts';
import { indicesOf } from '../../shared/contract/ranges.ts';
import type { BusyTime } from './busy-time.ts';
import { planDelivery } from './history.ts';
import type { JobOrders } from './job-orders.ts';
import type { Lease } from './lease.ts';
import { DeliveryProgress } from './progress.ts';
import { type FramesInStorage, listFramesInStorage } from './resolved-frames.ts';
import { giveUpFrames, runBatch } from './run-batch.ts';
import type { DeliveryServices } from './services.ts';
import { reportProgress, settleBatch } from './settle-batch.ts';
import { type RunInterruption, framesOf, releaseUnstarted } from './settlement.ts';

/** Often enough for people who watch; a short batch ends before. */
const PROGRESS_MS = 5_000;
/** How often to ask for the order of the job, which is read from storage less often. */
const ORDER_MS = 500;

export interface ReceivedBatch {
  readonly message: ReceivedMessage;
  readonly lease: Lease;
  readonly batch: BatchMessage;
  readonly busyTime: BusyTime;
  readonly orders: JobOrders;
  /** The `dequeueCount` of this worker's previous delivery of the batch, if any. */
  readonly survivedDelivery: number | undefined;
  /** Called when the batch is nearly scored: the next one may be received. */
  readonly onNearlyScored?: () => void;
}

export async function workBatch(received: ReceivedBatch, services: DeliveryServices): Promise<void> {
  const { message, lease, survivedDelivery, onNearlyScored } = received;
  const { clock, workerId, blobs, log, metrics } = services;
  const startedAtMs = clock.monotonicMs();
  const { jobId, batchIndex } = received.batch;
  const listing = listFramesInStorage(received.batch, blobs);
  listing.catch(() => undefined); // Awaited if the batch runs.
  const order = await received.orders.beforeBatch(jobId);
  if (order !== 'run') {
    // The producer sends the batch of a paused job again when the job goes on.
    metrics.batches.inc({ settled: 'drop' });
    log.info({ jobId, batchIndex, order }, 'batch dropped');
    await lease.complete();
    return;
  }
  const found = await listing.catch(async (error: unknown) => {
    await releaseWithoutListing(received, services);
    throw error;
  });
  const frames = framesOf(received.batch);
  const plan = planDelivery({
    history: received.batch.history,
    dequeueCount: message.dequeueCount,
    frames,
    resolved: resolvedIn(found),
    openSegments: found.open,
    worker: workerId,
    survivedDelivery,
  });
  const batch = { ...received.batch, history: plan.history };
  const progress = new DeliveryProgress(found);

  log.info(
    {
      jobId: batch.jobId,
      batchIndex: batch.batchIndex,
      attempt: message.dequeueCount,
      approach: plan.approach,
      frames: frames.length,
      found: progress.storedFrames().all.size,
    },
    'batch received',
  );
  if (plan.mustSave) await lease.save(encodeMessage(batch));
  const cancelled = new AbortController();
  const delivery = {
    message,
    lease,
    batch,
    progress,
    cancelled: cancelled.signal,
    ...(onNearlyScored && { onNearlyScored }),
  };
  // Before anything else can kill this worker too.
  if (lease.state === 'held') await giveUpFrames(delivery, plan.givenUp, services);
  let interruption: RunInterruption | null = null;
  if (found.open.length > 0 && lease.state === 'held') {
    const work = { segments: found.open, suspects: plan.suspects };
    await using _reporting = every(PROGRESS_MS, async (signal) => {
      if (lease.state === 'held') await reportProgress(delivery, services, signal);
    });
    await using _watching = every(ORDER_MS, async (signal) => {
      if ((await received.orders.of(jobId, signal)) === 'cancel') cancelled.abort();
    });
    interruption =
      plan.approach === 'pass-on' ? { kind: 'passing-on' } : await runBatch(delivery, work, services);
  }

  const outcome = {
    batch,
    worker: workerId,
    dequeueCount: message.dequeueCount,
    leaseLost: lease.state === 'lost',
    interruption,
    stored: progress.storedFrames().all,
    givenUp: new Set(progress.givenUp.keys()),
    newlyStored: progress.scored.length,
    failures: progress.failures(),
  };
  const wallSeconds = received.busyTime.count(startedAtMs, clock.monotonicMs()) / 1000;
  await settleBatch({ message, lease, outcome, progress, wallSeconds }, services);
}

/** Calls every `ms`, unless the call before is still underway. At the end, no call is left that could overtake what the caller does next. */
function every(ms: number, call: (signal: AbortSignal) => Promise<void>): AsyncDisposable {
  const end = new AbortController();
  let underway: Promise<void> | undefined;
  const timer = setInterval(() => {
    underway ??= call(end.signal).finally(() => {
      underway = undefined;
    });
  }, ms);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      end.abort();
      await underway;
    },
  };
}

/** Frames that need no further attempt. */
function resolvedIn({ stored, givenUp }: FramesInStorage): ReadonlySet<number> {
  return new Set([...indicesOf(stored.map(({ frames }) => frames)), ...givenUp]);
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
