/**
 * The step `split`: decodes the source once, stores frame i as `frames/<jobId>/<i>.jpg` in order, and the timestamps as
 * `timeline.json`. Batches become ready while it runs.
 *
 * Run again after its producer died, it decodes again (the same bytes) and stores only what is not there.
 */
import type { BlobStore } from '../shared/azure/blob-store.ts';
import { frameBlob, frameIndexOf, jobPrefix, timelineBlob } from '../shared/contract/blob-names.ts';
import { isTerminal } from '../shared/contract/job.ts';
import type { LedgerJob } from '../shared/control/ledger-job.ts';
import type { Ledger } from '../shared/control/ledger.ts';
import type { StepJob } from '../shared/control/steps.ts';
import { type VideoInfo, checkLimits, probeVideo } from '../shared/media/probe.ts';
import { PermanentError } from '../shared/runtime/errors.ts';
import type { Log } from '../shared/runtime/log.ts';
import type { JobFolders } from './job-folders.ts';
import { decodeFrames } from './media/decode-frames.ts';
import { type Timeline, truncationOf } from './media/timeline.ts';
import type { ProducerMetrics } from './metrics.ts';
import { planBatchSize } from './plan-batches.ts';

/** Enough to hide the latency of storage, few enough that memory does not notice. */
const UPLOADS_AT_ONCE = 16;

export interface SplitParts {
  readonly blobs: BlobStore;
  readonly ledger: Ledger;
  readonly folders: JobFolders;
  readonly sourceLimits: { readonly durationSecondsMax: number; readonly pixelsMax: number };
  readonly log: Log;
  readonly metrics: ProducerMetrics;
}

export async function split(
  parts: SplitParts,
  { jobId, epoch }: StepJob,
  signal: AbortSignal,
): Promise<void> {
  const { blobs, ledger, folders, log } = parts;
  const job = await ledger.job(jobId);
  if (job?.definition.epoch !== epoch || isTerminal(job.state) || job.splitFinished) return;
  await using room = await folders.enter(job.definition.request, 'split');
  await ledger.move(jobId, 'running', { epoch });
  const sourcePath = await room.source(signal);
  const video = await probeVideo(sourcePath);
  checkLimits(video, parts.sourceLimits);
  await plan(parts, job, video);

  const timeline = await storeFrames(parts, { jobId, sourcePath, workDir: room.folder, video, signal });
  refuseTruncated(timeline, video);
  await blobs.put('frames', timelineBlob(jobId), JSON.stringify(timeline), {
    contentType: 'application/json',
    signal,
  });
  await ledger.finishSplit(jobId, timeline.pts.length);
  log.info({ jobId, frames: timeline.pts.length }, 'split finished');
}

async function plan(
  { ledger }: SplitParts,
  { jobId, definition }: LedgerJob,
  video: VideoInfo,
): Promise<void> {
  const framesExpected = video.frameCountDeclared ?? video.frameCountEstimated ?? 0;
  const megapixelsPerFrame = (video.width * video.height) / 1e6;
  const batchSize = planBatchSize({
    framesExpected,
    megapixelsPerFrame,
    megapixelsPerSecond: await ledger.rate(definition.model.name),
    asked: definition.request.batchSize,
  });
  await ledger.planSplit(jobId, { framesExpected, megapixelsPerFrame, batchSize });
}

async function storeFrames(
  { blobs, ledger, log, metrics }: SplitParts,
  {
    jobId,
    sourcePath,
    workDir,
    video,
    signal,
  }: { jobId: string; sourcePath: string; workDir: string; video: VideoInfo; signal: AbortSignal },
): Promise<Timeline> {
  const stored = await storedFrames(blobs, jobId);
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
  // Disposed of on every way out: ffmpeg does not outlive an upload that failed.
  await using frames = decodeFrames({
    sourcePath,
    video,
    workDir,
    signal,
    onWarnings: (warnings) => {
      if (warnings.length > 0) log.warn({ jobId, warnings }, 'ffmpeg complained while decoding');
    },
  });
  for (;;) {
    const { done, value } = await frames.next();
    if (done === true) {
      while (uploads.length > 0) await settleOldest();
      return value;
    }
    const upload = store(framesStored + uploads.length, value);
    upload.catch(() => undefined); // Looked at when its turn comes.
    uploads.push(upload);
    if (uploads.length >= UPLOADS_AT_ONCE) await settleOldest();
  }
}

/** What an earlier run of this step has stored already. */
async function storedFrames(blobs: BlobStore, jobId: string): Promise<Set<number>> {
  const stored = new Set<number>();
  for await (const { name } of blobs.list('frames', { prefix: jobPrefix(jobId) })) {
    const frameIndex = frameIndexOf(name);
    if (frameIndex !== undefined) stored.add(frameIndex);
  }
  return stored;
}

/** The video is never silently shorter: a source that ends before it says it does is refused. */
function refuseTruncated(timeline: Timeline, video: VideoInfo): void {
  const truncation = truncationOf({ timeline, video });
  if (truncation === undefined) return;
  throw new PermanentError('SOURCE_TRUNCATED', `The video is damaged or was cut off: ${truncation}.`, {
    hint: 'Copy or download it again. To go on with what is there, repair it first: ffmpeg -i IN -c copy OUT',
  });
}
