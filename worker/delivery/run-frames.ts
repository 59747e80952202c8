/**
 * Runs the frames of a delivery on the engine until each is stored, has failed, or nothing more can be done: through crashes,
 * hangs and out-of-memory kills of the engine, which is started again, with the lease held all the while. `next-run` decides,
 * this does.
 */
import { type BatchMessage, encodeMessage } from '../../shared/contract/messages.ts';
import { toRanges } from '../../shared/contract/ranges.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { EngineProcess, RunEnd } from '../engine/engine-process.ts';
import type { FrameFailed, FrameStored } from '../engine/protocol.ts';
import type { WorkerMetrics } from '../metrics.ts';
import type { BatchHistory } from './history.ts';
import type { Lease } from './lease.ts';
import { type Pursuit, afterDeath, beginPursuit, nextRun, resolve } from './next-run.ts';
import type { Interruption } from './settle.ts';

/** Frames in a row, of which storage did not give or take one: in the end, that is no matter of frames any more. */
const STORAGE_MISSES_MIN = 2;

/** What a delivery has come to so far. */
export interface Progress {
  readonly stored: Map<number, FrameStored>;
  readonly failed: Map<number, FrameFailed>;
  /** Frames that were proven to kill the engine, or that one death speaks against: how often it died of each. */
  readonly deathsOf: Map<number, number>;
  lastDeath: string | null;
  /** Frames that failed for storage since the last one was stored. */
  storageMisses: number;
}

export const noProgress = (): Progress => ({
  stored: new Map(),
  failed: new Map(),
  deathsOf: new Map(),
  lastDeath: null,
  storageMisses: 0,
});

export interface RunParts {
  readonly engine: EngineProcess;
  readonly framesInFlight: number;
  readonly log: Log;
  readonly metrics: WorkerMetrics;
  /** Aborted when the worker is to drain. */
  readonly signal: AbortSignal;
}

const STORAGE_AWAY: Interruption = { kind: 'storage', message: 'storage gives and takes nothing' };

/** Returns why it ended before the last frame, or null. `progress` is written as frames come. */
export async function runFrames(
  work: {
    readonly batch: BatchMessage;
    readonly history: BatchHistory;
    readonly frames: readonly number[];
    /** Of the frames, those to be tried alone. */
    readonly suspects: readonly number[];
    readonly lease: Lease;
    readonly progress: Progress;
  },
  parts: RunParts,
): Promise<Interruption | null> {
  const { batch, history, frames, lease, progress } = work;
  const { engine, framesInFlight, log, metrics, signal } = parts;
  const textWith = (carefulFrame: number | null) =>
    encodeMessage({ ...batch, history: { ...history, carefulFrame } });
  const isOpen = (frameIndex: number): boolean =>
    !progress.stored.has(frameIndex) && !progress.failed.has(frameIndex);
  // Storage is away when all that was in flight has failed for it and nothing came through: the rest need not be tried.
  const away = new AbortController();
  const onMissed = (): void => {
    if (progress.storageMisses >= Math.max(STORAGE_MISSES_MIN, framesInFlight)) away.abort();
  };
  const run = (some: readonly number[], atOnce: number): Promise<RunEnd> =>
    engine.run(
      {
        jobId: batch.jobId,
        frames: toRanges(some),
        framesInFlight: atOnce,
        model: batch.model,
        parameters: batch.parameters,
      },
      listener(progress, metrics, onMissed),
      { stop: signal, discard: AbortSignal.any([lease.signal, away.signal]) },
    );

  let pursuit = beginPursuit(frames, work.suspects);
  for (;;) {
    pursuit = resolve(pursuit, isOpen);
    for (const [frameIndex, deaths] of pursuit.deathsOf) progress.deathsOf.set(frameIndex, deaths);
    if (signal.aborted) return pursuit.open.length > 0 ? { kind: 'draining' } : null;
    if (lease.state !== 'held') return null;
    if (away.signal.aborted) return STORAGE_AWAY;
    const next = nextRun(pursuit);
    let end: RunEnd;
    let tried: readonly number[];
    switch (next.kind) {
      case 'done':
        return progress.storageMisses >= STORAGE_MISSES_MIN ? STORAGE_AWAY : null;
      case 'give-up':
        return { kind: 'engine', message: progress.lastDeath ?? 'the engine cannot run it' };
      case 'blame':
        progress.failed.set(next.frameIndex, blamed(next.frameIndex, progress.lastDeath));
        continue;
      case 'together':
        tried = next.frames;
        end = await run(tried, framesInFlight);
        break;
      case 'alone':
        tried = [next.frameIndex];
        if (!(await lease.save(textWith(next.frameIndex)))) {
          return lease.state === 'held'
            ? { kind: 'storage', message: 'the lease could not be renewed' }
            : null;
        }
        log.info(
          { jobId: batch.jobId, batchIndex: batch.batchIndex, frame: next.frameIndex },
          'trying a frame alone',
        );
        end = await run(tried, 1);
        lease.note(textWith(null));
        break;
    }
    if (end.kind === 'refused') return { ...end.refusal };
    if (end.kind === 'died') {
      if (signal.aborted || away.signal.aborted || lease.state !== 'held') continue;
      pursuit = sufferedDeath(pursuit, end, { progress, isOpen });
      log.warn(
        { jobId: batch.jobId, batchIndex: batch.batchIndex, suspects: pursuit.suspects, why: end.message },
        'engine died in mid-batch: going on carefully',
      );
    } else if (!signal.aborted && !away.signal.aborted && lease.state === 'held' && tried.some(isOpen)) {
      return { kind: 'engine', message: 'the engine ended its run without a word on some frames' };
    }
  }
}

function sufferedDeath(
  pursuit: Pursuit,
  { message, computing }: Extract<RunEnd, { kind: 'died' }>,
  { progress, isOpen }: { readonly progress: Progress; readonly isOpen: (frameIndex: number) => boolean },
): Pursuit {
  progress.lastDeath = message;
  return afterDeath(pursuit, computing.filter(isOpen));
}

function blamed(frameIndex: number, lastDeath: string | null): FrameFailed {
  return {
    frameIndex,
    kind: 'engine',
    message: lastDeath ?? 'the engine died of it',
    stageSeconds: { fetch: 0, decode: 0, infer: 0, encode: 0, store: 0 },
  };
}

function listener(progress: Progress, metrics: WorkerMetrics, onMissed: () => void) {
  const { stored, failed } = progress;
  return {
    stored(frame: FrameStored): void {
      stored.set(frame.frameIndex, frame);
      progress.storageMisses = 0;
      metrics.framesStored.inc();
      metrics.megapixels.inc(frame.megapixels);
      for (const [stage, seconds] of Object.entries(frame.stageSeconds))
        metrics.stageSeconds.inc({ stage }, seconds);
    },
    failed(frame: FrameFailed): void {
      failed.set(frame.frameIndex, frame);
      metrics.framesFailed.inc({ kind: frame.kind });
      if (frame.kind !== 'storage') return;
      progress.storageMisses += 1;
      onMissed();
    },
  };
}
