/**
 * One delivery of a valid batch: what is in storage already, what earlier deliveries came to, the run of the rest, and the end,
 * which is exactly one of four ways, chosen by `settle` and applied in `conclude`.
 */
import type { ReceivedMessage } from '../../shared/azure/work-queue.ts';
import { type BatchMessage, cutText, encodeMessage } from '../../shared/contract/messages.ts';
import { type ConcludeParts, conclude } from './conclude.ts';
import { type FrameTries, type Outset, outset } from './history.ts';
import type { Lease } from './lease.ts';
import { poisonFrames } from './poison.ts';
import { report } from './report.ts';
import { type Progress, type RunParts, noProgress, runFrames } from './run-frames.ts';
import { type GivenUp, type Interruption, type Trouble, framesOf, unbegun } from './settle.ts';
import { type Stock, takeStock } from './stock.ts';

export interface WorkParts extends ConcludeParts, RunParts {}

export interface Received {
  readonly message: ReceivedMessage;
  readonly lease: Lease;
  readonly batch: BatchMessage;
  /** The delivery of it that this worker had before, if any. */
  readonly livedThrough: number | undefined;
}

export async function workBatch(
  { message, lease, batch: received, livedThrough }: Received,
  parts: WorkParts,
): Promise<void> {
  const { clock, workerId, blobs, log } = parts;
  const startedAtMs = clock.monotonicMs();
  const stock = await takeStock(received, blobs).catch(async (error: unknown) => {
    await releaseUnbegun({ message, lease, batch: received }, parts);
    throw error;
  });
  const frames = framesOf(received);
  const begin = outset({
    history: received.history,
    dequeueCount: message.dequeueCount,
    frames,
    resolved: new Set([...stock.scored, ...stock.failed]),
    worker: workerId,
    livedThrough,
  });
  const batch = { ...received, history: begin.history };
  const progress = noProgress();
  const failedBefore = new Set([...stock.failed, ...begin.givenUp.keys()]);

  log.info(
    {
      jobId: batch.jobId,
      batchIndex: batch.batchIndex,
      attempt: message.dequeueCount,
      approach: begin.approach,
      frames: frames.length,
      found: stock.scored.size + stock.failed.size,
    },
    'batch received',
  );
  if (begin.mustSave) await lease.save(encodeMessage(batch));
  if (lease.state === 'held') await giveUpAtOnce({ message, batch, stock, begin }, parts);
  const open = frames.filter((frameIndex) => !stock.scored.has(frameIndex) && !failedBefore.has(frameIndex));
  const interruption = await interruptionOf({ begin, open, batch, lease, progress }, parts);

  const wallSeconds = (clock.monotonicMs() - startedAtMs) / 1000;
  const scored = new Set([...stock.scored, ...progress.stored.keys()]);
  await conclude(
    {
      message,
      lease,
      progress,
      wallSeconds,
      delivery: {
        batch,
        worker: workerId,
        dequeueCount: message.dequeueCount,
        leaseLost: lease.state === 'lost',
        interruption,
        failedBefore,
        scored,
        newlyStored: progress.stored.size,
        troubles: troublesOf(progress),
      },
    },
    parts,
  );
}

/** Storage does not say what it holds: others may try later. Whoever rests after this error is spared the next batch, too. */
async function releaseUnbegun(
  { message: { dequeueCount }, lease, batch }: Omit<Received, 'livedThrough'>,
  { metrics }: WorkParts,
): Promise<void> {
  metrics.batches.inc({ settled: 'release' });
  const { delaySeconds, history } = unbegun({ batch, dequeueCount });
  await lease.release({ text: encodeMessage({ ...batch, history }), delaySeconds });
}

async function interruptionOf(
  {
    begin,
    open,
    batch,
    lease,
    progress,
  }: {
    readonly begin: Outset;
    readonly open: readonly number[];
    readonly batch: BatchMessage;
    readonly lease: Lease;
    readonly progress: Progress;
  },
  parts: WorkParts,
): Promise<Interruption | null> {
  if (open.length === 0 || lease.state !== 'held') return null;
  if (begin.approach === 'pass-on') return { kind: 'passing-on' };
  const { history, suspects } = begin;
  return runFrames({ batch, history, frames: open, suspects, lease, progress }, parts);
}

/** Frames that are given up without another try are told before anything else may kill this worker too. */
async function giveUpAtOnce(
  {
    message,
    batch,
    stock,
    begin,
  }: {
    readonly message: ReceivedMessage;
    readonly batch: BatchMessage;
    readonly stock: Stock;
    readonly begin: Outset;
  },
  parts: WorkParts,
): Promise<void> {
  if (begin.givenUp.size === 0) return;
  const givenUp = [...begin.givenUp].map(([frameIndex, { kind, attempts }]): GivenUp => ({
    frameIndex,
    kind,
    message: lastWordOf({ kind, attempts }),
    attempts,
  }));
  await poisonFrames(message, { batch, givenUp }, parts);
  await report(
    {
      batch,
      worker: parts.workerId,
      scored: stock.scored,
      failed: givenUp,
      givenUp,
      run: [],
      wallSeconds: 0,
    },
    parts,
  );
}

function lastWordOf({ kind, attempts }: Pick<FrameTries, 'kind' | 'attempts'>): string {
  return kind === 'engine'
    ? `${attempts} workers or engines died while they tried it`
    : `it failed ${attempts} times`;
}

/** What each frame that was tried in vain is charged with. */
function troublesOf({ failed, deathsOf, stored, lastDeath }: Progress): Trouble[] {
  const own = [...failed.values()].map(({ frameIndex, kind, message }) => ({
    frameIndex,
    kind,
    message: cutText(message),
    times: kind === 'engine' ? (deathsOf.get(frameIndex) ?? 1) : 1,
  }));
  const suspected = [...deathsOf]
    .filter(([frameIndex]) => !failed.has(frameIndex) && !stored.has(frameIndex))
    .map(([frameIndex, times]): Trouble => {
      return { frameIndex, kind: 'engine', message: cutText(lastDeath ?? 'the engine died of it'), times };
    });
  return [...own, ...suspected];
}
