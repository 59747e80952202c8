/**
 * The step `stitch`: gives the scored frames to ffmpeg as they come, with the timestamps of the split and the sound of the
 * source, and publishes the result when everything has been counted. Run again, it starts again: nothing is published twice.
 */
import { stat } from 'node:fs/promises';
import path from 'node:path';

import type { BlobStore } from '../shared/azure/blob-store.ts';
import { reportBlob, resultBlob, timelineBlob } from '../shared/contract/blob-names.ts';
import { type JobReport, isTerminal } from '../shared/contract/job.ts';
import type { Ledger, LedgerJob } from '../shared/control/ledger.ts';
import { probeVideo } from '../shared/media/probe.ts';
import type { Clock } from '../shared/runtime/clock.ts';
import type { Log } from '../shared/runtime/log.ts';
import { sha256OfFile } from '../shared/runtime/sha256.ts';
import { JobEndedError, framesInOrder } from './frame-order.ts';
import type { JobFolders } from './job-folders.ts';
import { judge } from './judge.ts';
import { assertSameLength } from './media/check-result.ts';
import { encodeVideo } from './media/encode-video.ts';
import { jpegSize } from './media/jpeg-size.ts';
import { type Timeline, timelineSchema } from './media/timeline.ts';
import type { ProducerMetrics } from './metrics.ts';

const WAIT_MS = 300;
/** The ledger is told of progress every so many frames. */
const PROGRESS_FRAMES = 10;
const CONTENT_TYPES = { mp4: 'video/mp4', mov: 'video/quicktime', mkv: 'video/x-matroska' } as const;

export interface StitchParts {
  readonly blobs: BlobStore;
  readonly ledger: Ledger;
  readonly folders: JobFolders;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: ProducerMetrics;
}

export async function stitch(parts: StitchParts, jobId: string, signal: AbortSignal): Promise<void> {
  const { ledger, log } = parts;
  try {
    const job = await splitJob(parts, jobId, signal);
    const published = await publish(parts, job, signal);
    await ledger.move(jobId, 'completed', { result: published });
    log.info({ jobId, ...published }, 'job completed');
  } catch (error) {
    if (!(error instanceof JobEndedError)) throw error;
    log.info({ jobId }, 'stitch given up: the job has ended');
  }
}

/** The job, once all its frames and timestamps are known. */
async function splitJob(
  { ledger, clock }: StitchParts,
  jobId: string,
  signal: AbortSignal,
): Promise<LedgerJob> {
  for (;;) {
    const job = await ledger.job(jobId);
    if (job === undefined || isTerminal(job.state)) throw new JobEndedError(`the job ${jobId} has ended`);
    if (job.splitFinished) return job;
    await clock.sleep(WAIT_MS, signal);
  }
}

async function publish(
  parts: StitchParts,
  job: LedgerJob,
  signal: AbortSignal,
): Promise<{ blobName: string; sizeBytes: number }> {
  const { blobs, ledger, folders } = parts;
  const { jobId } = job;
  const { request } = job.definition;
  const timeline = await readTimeline(blobs, jobId);
  const sourcePath = await folders.source(request, signal);
  const video = await probeVideo(sourcePath);
  const folder = await folders.stepFolder(jobId, 'stitch');
  const resultPath = path.join(folder, `result.${video.container}`);

  const frames = counted(
    parts,
    jobId,
    framesInOrder({
      ...parts,
      jobId,
      frameCount: timeline.pts.length,
      onFailedFrame: request.onFailedFrame,
      signal,
    }),
  );
  const first = await frames.next();
  if (first.done === true) throw new JobEndedError(`the job ${jobId} has no frames`);
  const { warnings } = await encodeVideo({
    frames: startingWith(first.value, frames),
    ...jpegSize(first.value),
    timeline,
    video,
    sourcePath,
    outputPath: resultPath,
    signal,
  });
  for (const warning of warnings) await ledger.warn(jobId, warning);
  await refuseFailed(ledger, jobId);
  await assertSameLength({ resultPath, timeline, video });

  const stem = path.parse(request.source.name).name;
  const blobName = resultBlob(jobId, `${stem}.${video.container}`);
  await blobs.putFile('results', blobName, resultPath, {
    contentType: CONTENT_TYPES[video.container],
    signal,
  });
  await putReport(parts, jobId, {
    resultSha256: await sha256OfFile(resultPath),
    frameCount: timeline.pts.length,
  });
  return { blobName, sizeBytes: (await stat(resultPath)).size };
}

/** The last word on failed frames: some may have failed before all were counted. */
async function refuseFailed(ledger: Ledger, jobId: string): Promise<void> {
  const job = await ledger.job(jobId);
  const verdict = job === undefined ? null : judge(job, await ledger.failures(jobId));
  if (verdict !== null) throw verdict;
}

async function readTimeline(blobs: BlobStore, jobId: string): Promise<Timeline> {
  return timelineSchema.parse(JSON.parse(String(await blobs.get('frames', timelineBlob(jobId)))));
}

async function* counted(
  { ledger, metrics }: StitchParts,
  jobId: string,
  frames: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer> {
  let count = 0;
  for await (const frame of frames) {
    yield frame;
    count += 1;
    metrics.framesStitched.inc();
    if (count % PROGRESS_FRAMES === 0) await ledger.recordStitched(jobId, count);
  }
  await ledger.recordStitched(jobId, count);
}

async function* startingWith<T>(first: T, rest: AsyncIterable<T>): AsyncGenerator<T> {
  yield first;
  yield* rest;
}

async function putReport(
  { blobs, ledger, clock }: StitchParts,
  jobId: string,
  { resultSha256, frameCount }: Pick<JobReport, 'resultSha256' | 'frameCount'>,
): Promise<void> {
  const job = await ledger.job(jobId);
  if (job === undefined) throw new JobEndedError(`the job ${jobId} is not known`);
  const { request, model } = job.definition;
  const report: JobReport = {
    version: 1,
    jobId,
    source: request.source,
    model,
    parameters: request.parameters,
    frameCount,
    failedFrames: await ledger.failures(jobId),
    warnings: [...job.warnings],
    resultSha256,
    createdAt: request.createdAt,
    completedAt: clock.now().toISOString(),
  };
  await blobs.put('results', reportBlob(jobId), JSON.stringify(report, undefined, 2), {
    contentType: 'application/json',
  });
}
