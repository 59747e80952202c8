/**
 * One log line for each frame of a delivery: in the worker's output, and appended to `logs/<jobId>/<worker>.ndjson`.
 *
 * Best effort: a log that cannot be written fails no frame.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { frameLogBlob } from '../../shared/contract/blob-names.ts';
import { STAGES, type StageSeconds } from '../../shared/contract/messages.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { DeliveryProgress } from './progress.ts';
import type { DeliveryOutcome } from './settlement.ts';

interface FrameLine {
  readonly at: string;
  readonly jobId: string;
  readonly batchIndex: number;
  readonly frame: number;
  /** Of the batch, from 1 on: its `dequeueCount`. */
  readonly delivery: number;
  readonly worker: string;
  readonly outcome: 'stored' | 'failed';
  readonly kind: string | null;
  readonly message: string | null;
  /** Null for a frame that failed. */
  readonly seconds: StageSeconds | null;
}

type LoggedDelivery = Pick<DeliveryOutcome, 'batch' | 'worker' | 'dequeueCount' | 'failures'>;

/** Ascending by frame. */
export function frameLines(
  { batch, worker, dequeueCount, failures }: LoggedDelivery,
  { scored }: Pick<DeliveryProgress, 'scored'>,
  at: string,
): FrameLine[] {
  const { jobId, batchIndex } = batch;
  const common = { at, jobId, batchIndex, delivery: dequeueCount, worker };
  const lines = [
    ...scored.map(({ frameIndex, stageSeconds }) => ({
      ...common,
      frame: frameIndex,
      outcome: 'stored' as const,
      kind: null,
      message: null,
      seconds: rounded(stageSeconds),
    })),
    ...failures.map(({ frameIndex, kind, message }) => ({
      ...common,
      frame: frameIndex,
      outcome: 'failed' as const,
      kind,
      message,
      seconds: null,
    })),
  ];
  return lines.toSorted((a, b) => a.frame - b.frame);
}

export async function logFrames(
  delivery: LoggedDelivery,
  progress: Pick<DeliveryProgress, 'scored'>,
  { blobs, clock, log }: { readonly blobs: BlobStore; readonly clock: Clock; readonly log: Log },
): Promise<void> {
  const lines = frameLines(delivery, progress, clock.now().toISOString());
  if (lines.length === 0) return;
  for (const { at: _at, ...line } of lines) log.info(line, 'frame');
  const { batch, worker } = delivery;
  try {
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
    await blobs.append('logs', frameLogBlob(batch.jobId, worker), text);
  } catch (error) {
    log.warn({ error, jobId: batch.jobId }, 'frame log not written');
  }
}

/** To a tenth of a millisecond: anything finer is noise. */
function rounded(seconds: StageSeconds): StageSeconds {
  const round = { ...seconds };
  for (const stage of STAGES) round[stage] = Math.round(seconds[stage] * 10_000) / 10_000;
  return round;
}
