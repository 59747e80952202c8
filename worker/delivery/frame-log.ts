/**
 * A line for each frame of a delivery: in the worker's output, and appended to `logs/<jobId>/<worker>.ndjson`, where a frame is
 * found by its number. Best effort: a log that cannot be written costs no frame.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { frameLogBlob } from '../../shared/contract/blob-names.ts';
import { type BatchMessage, STAGES, type StageSeconds } from '../../shared/contract/messages.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { Progress } from './run-frames.ts';

interface FrameLine {
  readonly at: string;
  readonly jobId: string;
  readonly batchIndex: number;
  readonly frame: number;
  /** Which delivery of the batch this was. */
  readonly attempt: number;
  readonly worker: string;
  readonly outcome: 'stored' | 'failed';
  readonly kind: string | null;
  readonly message: string | null;
  readonly seconds: StageSeconds;
}

/** Ascending by frame. PURE but for its time, which is given. */
export function frameLines(
  { batch, attempt, worker, at }: Delivered,
  { stored, failed }: Pick<Progress, 'stored' | 'failed'>,
): FrameLine[] {
  const { jobId, batchIndex } = batch;
  const common = { at, jobId, batchIndex, attempt, worker };
  const lines = [
    ...[...stored.values()].map(({ frameIndex, stageSeconds }) => ({
      ...common,
      frame: frameIndex,
      outcome: 'stored' as const,
      kind: null,
      message: null,
      seconds: rounded(stageSeconds),
    })),
    ...[...failed.values()].map(({ frameIndex, kind, message, stageSeconds }) => ({
      ...common,
      frame: frameIndex,
      outcome: 'failed' as const,
      kind,
      message,
      seconds: rounded(stageSeconds),
    })),
  ];
  return lines.toSorted((a, b) => a.frame - b.frame);
}

interface Delivered {
  readonly batch: BatchMessage;
  readonly attempt: number;
  readonly worker: string;
  readonly at: string;
}

export async function logFrames(
  delivered: Omit<Delivered, 'at'>,
  progress: Pick<Progress, 'stored' | 'failed'>,
  { blobs, clock, log }: { readonly blobs: BlobStore; readonly clock: Clock; readonly log: Log },
): Promise<void> {
  const lines = frameLines({ ...delivered, at: clock.now().toISOString() }, progress);
  if (lines.length === 0) return;
  for (const { at: _at, ...line } of lines) log.info(line, 'frame');
  const { batch, worker } = delivered;
  try {
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
    await blobs.append('logs', frameLogBlob(batch.jobId, worker), text);
  } catch (error) {
    log.warn({ error, jobId: batch.jobId }, 'frame log not written');
  }
}

/** To a tenth of a millisecond: the rest is noise. */
function rounded(seconds: StageSeconds): StageSeconds {
  const round = { ...seconds };
  for (const stage of STAGES) round[stage] = Math.round(seconds[stage] * 10_000) / 10_000;
  return round;
}
