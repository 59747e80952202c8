/**
 * One delivery of a valid batch: what is stored already, the run of the rest, and its end, which is exactly one of four ways,
 * chosen by `settle` and applied in one switch here.
 */
import type { BlobStore } from '../shared/azure/blob-store.ts';
import type { ReceivedMessage, WorkQueue } from '../shared/azure/work-queue.ts';
import { frameIndexOf, framesPrefix } from '../shared/contract/blob-names.ts';
import { type BatchMessage, encodeMessage } from '../shared/contract/messages.ts';
import { toRanges } from '../shared/contract/ranges.ts';
import type { Clock } from '../shared/runtime/clock.ts';
import type { Log } from '../shared/runtime/log.ts';
import type { WorkerConfig } from './config.ts';
import type { EngineProcess, RunEnd, RunListener } from './engine-process.ts';
import type { FrameFailed, FrameStored } from './engine/protocol.ts';
import type { Heart } from './heartbeat.ts';
import type { Lease } from './lease.ts';
import type { WorkerMetrics } from './metrics.ts';
import { copyToPoison } from './poison.ts';
import { report } from './report.ts';
import { type Delivery, framesOf, isSuspect, settle } from './settle.ts';

/** An engine that was asked to stop has so long to finish the frames in flight. */
const STOP_RUN_MS = 4_000;

export interface WorkParts {
  readonly config: WorkerConfig;
  readonly blobs: BlobStore;
  readonly results: WorkQueue;
  readonly poison: WorkQueue;
  readonly engine: EngineProcess;
  readonly heart: Heart;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: WorkerMetrics;
  /** Aborted when the worker is to drain. */
  readonly signal: AbortSignal;
}

export interface Received {
  readonly message: ReceivedMessage;
  readonly lease: Lease;
  readonly batch: BatchMessage;
}

/** What a delivery has come to so far. */
interface Progress {
  /** Stored by an earlier delivery. */
  readonly found: ReadonlySet<number>;
  readonly stored: Map<number, FrameStored>;
  readonly failed: Map<number, FrameFailed>;
}

export async function workBatch(received: Received, parts: WorkParts): Promise<void> {
  const { message, lease, batch } = received;
  const { clock, config, signal } = parts;
  const startedAtMs = clock.monotonicMs();
  const unreleased = message.dequeueCount - batch.history.releases;
  const found = message.dequeueCount > 1 ? await storedBefore(batch, parts.blobs) : new Set<number>();
  const progress: Progress = { found, stored: new Map(), failed: new Map() };
  const end = isSuspect(unreleased) ? suspect(unreleased) : await run(received, progress, parts);
  if (end.kind === 'died') parts.metrics.engineDeaths.inc();
  const delivery: Delivery = {
    batch,
    worker: config.workerId,
    unreleased,
    leaseLost: lease.state === 'lost',
    interruption: signal.aborted ? 'draining' : end.kind === 'ended' ? null : { engine: end.message },
    scored: new Set([...found, ...progress.stored.keys()]),
    newlyStored: progress.stored.size,
    failed: [...progress.failed.values()],
  };
  await apply(
    { ...received, delivery, progress, wallSeconds: (clock.monotonicMs() - startedAtMs) / 1000 },
    parts,
  );
}

/** Outputs of the batch that an earlier delivery has stored. */
async function storedBefore(
  { jobId, frameStart, frameEnd }: BatchMessage,
  blobs: BlobStore,
): Promise<Set<number>> {
  const found = new Set<number>();
  for await (const { name } of blobs.list('scored', { prefix: framesPrefix(jobId, frameStart, frameEnd) })) {
    const frameIndex = frameIndexOf(name);
    if (frameIndex !== undefined && frameIndex >= frameStart && frameIndex < frameEnd) found.add(frameIndex);
  }
  return found;
}

async function run({ batch, lease }: Received, progress: Progress, parts: WorkParts): Promise<RunEnd> {
  const { engine, signal } = parts;
  const frames = toRanges(framesOf(batch).filter((frameIndex) => !progress.found.has(frameIndex)));
  if (frames.length === 0) return { kind: 'ended' };
  using _pull = killWhenStuck(engine, AbortSignal.any([signal, lease.signal]));
  return await engine.run(
    { jobId: batch.jobId, frames, model: batch.model, parameters: batch.parameters },
    listener(progress, parts),
    { stop: signal, discard: lease.signal },
  );
}

function listener({ stored, failed }: Progress, { metrics }: WorkParts): RunListener {
  return {
    stored(frame) {
      stored.set(frame.frameIndex, frame);
      metrics.framesStored.inc();
      metrics.megapixels.inc(frame.megapixels);
      for (const [stage, seconds] of Object.entries(frame.stageSeconds))
        metrics.stageSeconds.inc({ stage }, seconds);
    },
    failed(frame) {
      failed.set(frame.frameIndex, frame);
      metrics.framesFailed.inc({ kind: frame.kind });
    },
  };
}

async function apply(
  ended: Received & {
    readonly delivery: Delivery;
    readonly progress: Progress;
    readonly wallSeconds: number;
  },
  parts: WorkParts,
): Promise<void> {
  const { message, lease, delivery, progress, wallSeconds } = ended;
  const { batch, worker, scored } = delivery;
  const { config, poison, clock, heart, log, metrics } = parts;
  const decision = settle(delivery);
  metrics.batches.inc({ settled: decision.kind });
  log.info(
    {
      jobId: batch.jobId,
      batchIndex: batch.batchIndex,
      settled: decision.kind,
      frames: batch.frameEnd - batch.frameStart,
      stored: progress.stored.size,
      found: progress.found.size,
      failed: progress.failed.size,
      wallSeconds,
    },
    'delivery ended',
  );
  const tell = (failed: readonly FrameFailed[]): Promise<void> =>
    report({ batch, worker, scored, failed, run: [...progress.stored.values()], wallSeconds }, parts);
  heart.worked({
    batch,
    frames: [...progress.stored.values()],
    wallSeconds,
    executionProvider: parts.engine.executionProvider,
  });
  switch (decision.kind) {
    case 'complete':
      await tell(decision.failed);
      await lease.complete();
      return;
    case 'release':
      if (delivery.newlyStored > 0) await tell([]);
      await lease.release({
        text: encodeMessage({ ...batch, history: decision.history }),
        delaySeconds: decision.delaySeconds,
      });
      return;
    case 'poison':
      await tell(decision.failed);
      await copyToPoison({ poison, message, reason: decision.reason, worker: config.workerId, clock });
      await lease.complete();
      return;
    case 'leave':
      return;
  }
}

/** An engine that does not end its run in time after it was asked to is killed: the machine may go at any moment. */
function killWhenStuck(engine: EngineProcess, asked: AbortSignal): Disposable {
  let timer: NodeJS.Timeout | undefined;
  const onAsked = (): void => {
    timer = setTimeout(() => engine.kill(), STOP_RUN_MS);
  };
  if (asked.aborted) onAsked();
  asked.addEventListener('abort', onAsked, { once: true });
  return {
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      asked.removeEventListener('abort', onAsked);
    },
  };
}

function suspect(unreleased: number): RunEnd {
  return { kind: 'refused', message: `${unreleased} workers took it and ended without a word` };
}
