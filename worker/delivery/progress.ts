/**
 * The outcome of each frame in one delivery, written as the engine reports it. `work-batch` runs the frames; `settle-batch` reads
 * the outcome when the delivery ends.
 */
import type { FailedFrame } from '../../shared/contract/failed-frame.ts';
import { cutText } from '../../shared/contract/messages.ts';
import type { RunListener } from '../engine/engine-process.ts';
import type { FailedAttempt, StoredFrame } from '../engine/protocol.ts';
import type { WorkerMetrics } from '../metrics.ts';
import { type RunPlan, planRuns } from './next-run.ts';

const ENGINE_DIED = 'the engine died while processing this frame';

export interface DeliveryProgress {
  readonly stored: Map<number, StoredFrame>;
  readonly failed: Map<number, FailedAttempt>;
  /** What is left to run, with the engine deaths so far. */
  runPlan: RunPlan;
  lastDeath: string | null;
  /** Frames that failed because of storage since the last frame was stored. */
  storageFailuresInARow: number;
}

export const newProgress = (): DeliveryProgress => ({
  stored: new Map(),
  failed: new Map(),
  runPlan: planRuns([]),
  lastDeath: null,
  storageFailuresInARow: 0,
});

export function isOpen({ stored, failed }: DeliveryProgress, frameIndex: number): boolean {
  return !stored.has(frameIndex) && !failed.has(frameIndex);
}

/** Records what the engine reports. Calls `onStorageFailure` after each frame that failed because of storage. */
export function recordTo(
  progress: DeliveryProgress,
  metrics: WorkerMetrics,
  onStorageFailure: () => void,
): RunListener {
  return {
    stored(frame) {
      progress.stored.set(frame.frameIndex, frame);
      progress.storageFailuresInARow = 0;
      metrics.framesStored.inc();
      metrics.megapixels.inc(frame.megapixels);
      for (const [stage, seconds] of Object.entries(frame.stageSeconds))
        metrics.stageSeconds.inc({ stage }, seconds);
    },
    failed(frame) {
      progress.failed.set(frame.frameIndex, frame);
      metrics.framesFailed.inc({ kind: frame.kind });
      if (frame.kind !== 'storage') return;
      progress.storageFailuresInARow += 1;
      onStorageFailure();
    },
  };
}

/** Records a frame that is proven to kill the engine. */
export function recordFatalFrame(progress: DeliveryProgress, frameIndex: number, deaths: number): void {
  progress.failed.set(frameIndex, {
    frameIndex,
    kind: 'engine',
    message: progress.lastDeath ?? ENGINE_DIED,
    attempts: deaths,
    stageSeconds: { fetch: 0, decode: 0, infer: 0, encode: 0, store: 0 },
  });
}

/** Each frame that failed in this delivery, with its attempts in this delivery. Includes frames that an engine died with. */
export function failuresOf(progress: DeliveryProgress): FailedFrame[] {
  const { failed, runPlan, lastDeath } = progress;
  const reported = [...failed.values()].map(({ frameIndex, kind, message, attempts }) => ({
    frameIndex,
    kind,
    message: cutText(message),
    attempts,
  }));
  const suspected = [...runPlan.deathsOf]
    .filter(([frameIndex]) => isOpen(progress, frameIndex))
    .map(([frameIndex, attempts]): FailedFrame => {
      return { frameIndex, kind: 'engine', message: cutText(lastDeath ?? ENGINE_DIED), attempts };
    });
  return [...reported, ...suspected];
}
