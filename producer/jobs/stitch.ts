/**
 * The `stitch` step: passes the scored frames to ffmpeg as they become available, with the timestamps from the split and the
 * audio of the source. Checks the result and publishes it. Idempotent: a second run starts from the beginning and overwrites.
 */
import { stat } from 'node:fs/promises';
import path from 'node:path';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { resultBlob, timelineBlob } from '../../shared/contract/blob-names.ts';
import { isTerminal } from '../../shared/contract/job.ts';
import { probeVideo } from '../../shared/media/probe.ts';
import type { LedgerJob } from '../../shared/redis/ledger-job.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { sha256OfFile } from '../../shared/runtime/sha256.ts';
import { assertSameLength } from '../media/check-result.ts';
import { encodeVideo } from '../media/encode-video.ts';
import { jpegSize } from '../media/jpeg-size.ts';
import { type Timeline, decodeTimeline } from '../media/timeline.ts';
import { workableTracks } from '../media/try-tracks.ts';
import type { ProducerMetrics } from '../metrics.ts';
import { failedFramesError } from './failed-frames.ts';
import { JobEndedError, framesInOrder } from './frame-order.ts';
import type { JobFolders } from './job-folders.ts';
import { putReport } from './report.ts';
import type { JobRun } from './steps.ts';

const WAIT_MS = 300;
/** Progress is recorded in the ledger every this many frames. */
const PROGRESS_FRAMES = 10;
const CONTENT_TYPES = { mp4: 'video/mp4', mov: 'video/quicktime', mkv: 'video/x-matroska' } as const;

export interface StitchServices {
  readonly blobs: BlobStore;
  readonly ledger: Ledger;
  readonly folders: JobFolders;
  /** For ffmpeg, over all of its threads. */
  readonly stitchCpuSecondsMax: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: ProducerMetrics;
}

export async function stitch(services: StitchServices, run: JobRun, signal: AbortSignal): Promise<void> {
  const { ledger, log } = services;
  const { jobId, epoch } = run;
  try {
    const job = await waitForSplit(services, run, signal);
    const result = await publish(services, job, signal);
    await ledger.move(jobId, 'completed', { result, epoch });
    log.info({ jobId, ...result }, 'job completed');
  } catch (error) {
    if (!(error instanceof JobEndedError)) throw error;
    log.info({ jobId }, 'stitch stopped: job has ended');
  }
}

/** Returns the job once its split has finished, so that all frames and timestamps are known. */
async function waitForSplit(
  { ledger, clock }: StitchServices,
  run: JobRun,
  signal: AbortSignal,
): Promise<LedgerJob> {
  for (;;) {
    const job = await currentJob(ledger, run);
    if (isTerminal(job.state)) throw new JobEndedError(`job ${run.jobId} has ended`);
    if (job.splitFinished) return job;
    await clock.sleep(WAIT_MS, signal);
  }
}

async function publish(
  services: StitchServices,
  job: LedgerJob,
  signal: AbortSignal,
): Promise<{ blobName: string; sizeBytes: number }> {
  const { blobs, ledger, folders } = services;
  const { jobId } = job;
  const { request, epoch } = job.definition;
  const timeline = await readTimeline(blobs, jobId);
  await using folder = await folders.enter(request, 'stitch');
  const sourcePath = await folder.source(signal);
  const video = await probeVideo(sourcePath);
  const trackPlan = await workableTracks({ sourcePath, video, folder: folder.path, signal });
  const resultPath = path.join(folder.path, `result.${video.container}`);

  const frames = counted(
    services,
    jobId,
    framesInOrder({
      ...services,
      jobId,
      epoch,
      frameCount: timeline.pts.length,
      onFailedFrame: request.onFailedFrame,
      signal,
    }),
  );
  const first = await frames.next();
  if (first.done === true) throw new JobEndedError(`job ${jobId} has no frames`);
  const { warnings } = await encodeVideo({
    frames: startingWith(first.value, frames),
    ...jpegSize(first.value),
    timeline,
    video,
    sourcePath,
    outputPath: resultPath,
    trackPlan,
    cpuSecondsMax: services.stitchCpuSecondsMax,
    signal,
  });
  for (const warning of warnings) await ledger.warn(jobId, warning);
  await assertFewFailed(ledger, { jobId, epoch });
  await assertSameLength(resultPath, {
    timeline,
    framesPerSecond: video.framesPerSecond,
    audioTrackCount: trackPlan.tracks.filter(({ track }) => track.kind === 'audio').length,
  });

  const stem = path.parse(request.source.name).name;
  const blobName = resultBlob(jobId, `${stem}.${video.container}`);
  await blobs.putFile('results', blobName, resultPath, {
    contentType: CONTENT_TYPES[video.container],
    signal,
  });
  await putReport(services, await currentJob(ledger, { jobId, epoch }), await sha256OfFile(resultPath));
  return { blobName, sizeBytes: (await stat(resultPath)).size };
}

/** The final check on failed frames: some may have failed before all frames were counted. */
async function assertFewFailed(ledger: Ledger, run: JobRun): Promise<void> {
  const error = failedFramesError(await currentJob(ledger, run), await ledger.failures(run.jobId));
  if (error !== null) throw error;
}

/** Throws JobEndedError if the ledger has forgotten or reopened the job since the step started. */
async function currentJob(ledger: Ledger, { jobId, epoch }: JobRun): Promise<LedgerJob> {
  const job = await ledger.job(jobId);
  if (job?.definition.epoch !== epoch) throw new JobEndedError(`job ${jobId} was reopened`);
  return job;
}

async function readTimeline(blobs: BlobStore, jobId: string): Promise<Timeline> {
  const text = String(await blobs.get('frames', timelineBlob(jobId)));
  try {
    return decodeTimeline(text);
  } catch (cause) {
    throw new PermanentError('JOB_INVALID', `The timeline of job ${jobId} cannot be read.`, {
      hint: 'Enqueue the video again. If this error recurs, report it with the producer log.',
      cause,
    });
  }
}

async function* counted(
  { ledger, metrics }: StitchServices,
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
