/**
 * The `split` step: decodes the source once, stores frame i as `frames/<jobId>/<i>.jpg` in order, and the timestamps as
 * `timeline.json`. Batches become ready while it runs. Problems that would fail the job at its end are detected first: a source
 * that is truncated or too large, tracks that the result cannot hold.
 *
 * Idempotent: a second run decodes again, to the same bytes, and stores only the missing frames.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { frameBlob, frameIndexOf, jobPrefix, timelineBlob } from '../../shared/contract/blob-names.ts';
import { isTerminal } from '../../shared/contract/job.ts';
import { type SourceLimits, type VideoInfo, checkLimits, probeVideo } from '../../shared/media/probe.ts';
import type { LedgerJob } from '../../shared/redis/ledger-job.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { type DecodeLimits, decodeFrames } from '../media/decode-frames.ts';
import { type Timeline, encodeTimeline } from '../media/timeline.ts';
import { workableTracks } from '../media/try-tracks.ts';
import type { ProducerMetrics } from '../metrics.ts';
import type { JobFolders } from './job-folders.ts';
import { planBatchSize } from './plan-batches.ts';
import type { JobRun } from './steps.ts';

/** Hides the latency of storage, and holds only 16 frames in memory. */
const UPLOADS_AT_ONCE = 16;

export interface SplitServices {
  readonly blobs: BlobStore;
  readonly ledger: Ledger;
  readonly folders: JobFolders;
  readonly sourceLimits: SourceLimits & DecodeLimits;
  readonly log: Log;
  readonly metrics: ProducerMetrics;
}

export async function split(
  services: SplitServices,
  { jobId, epoch }: JobRun,
  signal: AbortSignal,
): Promise<void> {
  const { blobs, ledger, folders, log } = services;
  const job = await ledger.job(jobId);
  if (job?.definition.epoch !== epoch || isTerminal(job.state) || job.splitFinished) return;
  await using folder = await folders.enter(job.definition.request, 'split');
  await ledger.move(jobId, 'running', { epoch });
  const sourcePath = await folder.source(signal);
  const video = await probeVideo(sourcePath);
  checkLimits(video, services.sourceLimits);
  await workableTracks({ sourcePath, video, folder: folder.path, signal });
  await planBatches(services, job, video);

  const timeline = await storeFrames(services, { jobId, sourcePath, video, signal });
  await blobs.put('frames', timelineBlob(jobId), encodeTimeline(timeline), {
    contentType: 'application/json',
    signal,
  });
  await ledger.finishSplit(jobId, timeline.pts.length);
  log.info({ jobId, frames: timeline.pts.length }, 'split finished');
}

async function planBatches(
  { ledger }: SplitServices,
  { jobId, definition }: LedgerJob,
  video: VideoInfo,
): Promise<void> {
  const framesExpected = video.frameCountExpected ?? 0;
  const megapixelsPerFrame = (video.width * video.height) / 1e6;
  const batchSize = planBatchSize({
    framesExpected,
    megapixelsPerFrame,
    megapixelsPerSecond: await ledger.rate(definition.model.name),
    requested: definition.request.batchSize,
  });
  await ledger.planSplit(jobId, { framesExpected, megapixelsPerFrame, batchSize });
}

async function storeFrames(
  { blobs, ledger, sourceLimits, log, metrics }: SplitServices,
  source: {
    readonly jobId: string;
    readonly sourcePath: string;
    readonly video: VideoInfo;
    readonly signal: AbortSignal;
  },
): Promise<Timeline> {
  const { jobId, signal } = source;
  const stored = await listStoredFrames(blobs, jobId);
  const store = async (frameIndex: number, jpeg: Buffer): Promise<void> => {
    if (stored.has(frameIndex)) return;
    await blobs.put('frames', frameBlob(jobId, frameIndex), jpeg, {
      onlyIfAbsent: true,
      contentType: 'image/jpeg',
      signal,
    });
    metrics.framesSplit.inc();
  };

  const uploads: Promise<void>[] = [];
  let framesStored = 0;
  const settleOldest = async (): Promise<void> => {
    await uploads.shift();
    framesStored += 1;
    if (framesStored % UPLOADS_AT_ONCE === 0) await ledger.recordSplit(jobId, framesStored);
  };
  // `await using` stops ffmpeg even if an upload fails.
  await using frames = decodeFrames({
    ...source,
    limits: sourceLimits,
    onWarnings: (warnings) => {
      if (warnings.length > 0) log.warn({ jobId, warnings }, 'ffmpeg reported errors while decoding');
    },
  });
  for (;;) {
    const { done, value } = await frames.next();
    if (done === true) {
      while (uploads.length > 0) await settleOldest();
      return value;
    }
    const upload = store(framesStored + uploads.length, value);
    upload.catch(() => undefined); // Awaited in `settleOldest`.
    uploads.push(upload);
    if (uploads.length >= UPLOADS_AT_ONCE) await settleOldest();
  }
}

/** The frames that an earlier run of this step has stored. */
async function listStoredFrames(blobs: BlobStore, jobId: string): Promise<Set<number>> {
  const stored = new Set<number>();
  for await (const { name } of blobs.list('frames', { prefix: jobPrefix(jobId) })) {
    const frameIndex = frameIndexOf(name);
    if (frameIndex !== undefined) stored.add(frameIndex);
  }
  return stored;
}
