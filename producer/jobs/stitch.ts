/**
 * The `stitch` step: joins the stored segments to one video, with the timestamps from the split and the audio of the source. Stores the
 * result and checks it. It is queued when every frame is scored or given up, so it never waits for frames. Idempotent: a second run
 * starts from the beginning and overwrites.
 */
import path from 'node:path';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { resultBlob, timelineBlob } from '../../shared/contract/blob-names.ts';
import { DEFAULT_ENCODING } from '../../shared/contract/encoding.ts';
import { isTerminal } from '../../shared/contract/job.ts';
import type { FrameFacts } from '../../shared/contract/scores.ts';
import { isToolFailure } from '../../shared/media/tool-process.ts';
import type { JobTimes } from '../../shared/redis/job-times.ts';
import { type LedgerJob, isPaused } from '../../shared/redis/ledger-job.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import type { Spending } from '../../shared/redis/spending.ts';
import type { WorkRates } from '../../shared/redis/work-rates.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import { PermanentError, TransientError } from '../../shared/runtime/errors.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { checkResult } from '../media/check-result.ts';
import { joinVideo } from '../media/join-video.ts';
import { type Timeline, decodeTimeline, secondsAt } from '../media/timeline.ts';
import { workableTracks } from '../media/try-tracks.ts';
import type { ProducerMetrics } from '../metrics.ts';
import { failedFramesError } from './failed-frames.ts';
import type { JobFolders } from './job-folders.ts';
import { joinScores } from './join-scores.ts';
import { putContactSheet } from './previews.ts';
import { probeSource } from './probe-source.ts';
import { publishFrameImages, publishLines } from './publish-frames.ts';
import { publishImages } from './publish-images.ts';
import { putReport } from './report.ts';
import { RESULT_ROOM_BYTES, ResultUpload } from './result-upload.ts';
import { readImageList } from './split-images.ts';
import { type JobRun, PAUSED_RETRY_MS, StepDeferredError } from './steps.ts';
import { type StoredSegment, listOutcomes } from './stored-outcomes.ts';

/** Hides the latency of storage. */
const SEGMENTS_AHEAD = 4;
const IMAGES_PER_REPORT = 32;
/** Another program fills the disk. It may take hours until somebody makes room. */
const DISK_FULL_RETRY_MS = 30_000;
const CONTENT_TYPES = { mp4: 'video/mp4', mov: 'video/quicktime', mkv: 'video/x-matroska' } as const;

export interface StitchServices {
  readonly blobs: BlobStore;
  readonly ledger: Ledger;
  readonly times: JobTimes;
  readonly workRates: WorkRates;
  readonly spending: Pick<Spending, 'ofJob'>;
  readonly folders: JobFolders;
  /** For ffmpeg, over all of its threads. */
  readonly stitchCpuSecondsMax: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: ProducerMetrics;
}

/** The job ended, or was reopened or split again, since the step was queued. */
class JobEndedError extends Error {}

export async function stitch(services: StitchServices, run: JobRun, signal: AbortSignal): Promise<void> {
  const { ledger, log } = services;
  const { jobId, epoch } = run;
  try {
    const job = await currentJob(ledger, run);
    if (isTerminal(job.state)) throw new JobEndedError(`job ${jobId} has ended`);
    if (isPaused(job)) throw new StepDeferredError('the job is paused', PAUSED_RETRY_MS);
    await services.times.mark(jobId, { scoredAtMs: services.clock.now().getTime() });
    const result = await publish(services, run, job, signal);
    await ledger.move(jobId, 'completed', { result, epoch });
    log.info({ jobId, ...result }, 'job completed');
  } catch (error) {
    if (isDiskFull(error)) throw new StepDeferredError('the disk is full', DISK_FULL_RETRY_MS);
    if (!(error instanceof JobEndedError)) throw error;
    log.info({ jobId }, 'stitch stopped: job has ended');
  }
}

async function publish(
  services: StitchServices,
  run: JobRun,
  job: LedgerJob,
  signal: AbortSignal,
): Promise<{ blobName: string; sizeBytes: number }> {
  const { blobs, ledger, folders } = services;
  const { jobId } = run;
  const { request } = job.definition;
  await assertFewFailed(ledger, run);
  if (request.source.kind === 'images') return publishStills(services, run, job, signal);
  const timeline = await readTimeline(blobs, run);
  const { segments } = await listOutcomes(blobs, run);
  const frameCount = timeline.pts.length;
  assertComplete(segments, frameCount);
  const knownFacts = () =>
    factsWithReasons(ledger, jobId, (index) => ({ seconds: secondsAt(timeline, index) }));
  if (job.definition.result === 'numbers') {
    const { sha256, ...scores } = await joinScores(blobs, jobId, {
      segments: counted(services, jobId, segments, signal),
      frameCount,
      factsOf: await knownFacts(),
      signal,
    });
    await putReport(services, await currentJob(ledger, run), { sha256 });
    return scores;
  }
  // The result: all segments, and at most all other tracks of the source.
  const resultBytes = segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, request.source.sizeBytes);
  await using folder = await folders.enter(request, 'stitch', Math.min(resultBytes, RESULT_ROOM_BYTES));
  const sourcePath = await folder.source(signal);
  const video = await probeSource(sourcePath, request);
  const trackPlan = await workableTracks({ sourcePath, video, folder: folder.path, signal });
  const resultPath = path.join(folder.path, `result.${video.container}`);
  const stem = path.parse(request.source.name).name;
  const blobName = resultBlob(jobId, `${stem}.${video.container}`);
  const contentType = CONTENT_TYPES[video.container];
  const blob = blobs.putBlocks('results', blobName, { contentType, signal });
  await using upload = new ResultUpload(resultPath, blob);
  const { warnings } = await joinVideo({
    segments: () => upload.behind(counted(services, jobId, segments, signal)),
    frameSize: segments[0]?.size ?? video,
    timeline,
    video,
    sourcePath,
    outputPath: resultPath,
    trackPlan,
    encoding: request.encoding ?? DEFAULT_ENCODING,
    cpuSecondsMax: services.stitchCpuSecondsMax,
    signal,
  });
  const sizeBytes = await upload.finish(video.container);
  const checked = await checkResult(blobs.read('results', blobName, { signal }), {
    timeline,
    framesPerSecond: video.framesPerSecond,
    audioTrackCount: trackPlan.tracks.filter(({ track }) => track.kind === 'audio').length,
  }).catch(async (error: unknown) => {
    await blobs.remove('results', blobName);
    throw error;
  });
  for (const warning of [...warnings, ...checked.warnings]) await ledger.warn(jobId, warning);
  if (request.frameImages !== undefined) await publishFrameImages(blobs, run, signal);
  if (job.definition.result === 'drawn')
    await publishLines(blobs, run, { frameCount, factsOf: await knownFacts(), signal });
  await putContactSheet(services, run);
  await putReport(services, await currentJob(ledger, run), {
    sha256: checked.sha256,
    flicker: flickerOf(segments),
  });
  return { blobName, sizeBytes };
}

/** Of a job of still images: an image for each, or a line of numbers. */
async function publishStills(
  services: StitchServices,
  run: JobRun,
  { definition }: LedgerJob,
  signal: AbortSignal,
): Promise<{ blobName: string; sizeBytes: number }> {
  const { blobs, ledger, metrics } = services;
  const { jobId } = run;
  const list = await readImageList(blobs, definition.request);
  const { sha256, warnings, ...result } =
    definition.result === 'numbers'
      ? {
          ...(await joinScores(blobs, jobId, {
            segments: counted(services, jobId, (await listOutcomes(blobs, run)).segments, signal),
            frameCount: list.images.length,
            factsOf: await factsWithReasons(ledger, jobId, (index) => ({
              name: list.images[index]?.name ?? '',
            })),
            signal,
          })),
          warnings: [],
        }
      : await publishImages(services, run, list, {
          onPublished: (count) => {
            metrics.framesStitched.inc();
            if (count % IMAGES_PER_REPORT === 0)
              void ledger.recordStitched(jobId, count).catch(() => undefined);
          },
          signal,
        });
  for (const warning of warnings) await ledger.warn(jobId, warning);
  await putContactSheet(services, run);
  await putReport(services, await currentJob(ledger, run), { sha256 });
  return result;
}

/** Adds to what is known of a frame why it failed, if it did. */
async function factsWithReasons(
  ledger: Ledger,
  jobId: string,
  factsOf: (frameIndex: number) => FrameFacts,
): Promise<(frameIndex: number) => FrameFacts> {
  const failures = await ledger.failures(jobId);
  const reasons = new Map(failures.map(({ frameIndex, message }) => [frameIndex, message]));
  return (frameIndex) => {
    const reason = reasons.get(frameIndex);
    return { ...factsOf(frameIndex), ...(reason !== undefined && { reason }) };
  };
}

/** The final check on failed frames: some may have failed before all frames were counted. */
async function assertFewFailed(ledger: Ledger, run: JobRun): Promise<void> {
  const error = failedFramesError(await currentJob(ledger, run), await ledger.failures(run.jobId));
  if (error !== null) throw error;
}

/** Throws unless the segments hold every frame exactly once. */
function assertComplete(segments: readonly StoredSegment[], frameCount: number): void {
  let expected = 0;
  for (const { frames } of segments) {
    if (frames[0] !== expected) break;
    expected = frames[1];
  }
  if (expected === frameCount) return;
  throw new TransientError(
    'STORAGE_UNAVAILABLE',
    `Not all segments of the result are in storage: there is none that starts with frame ${expected} of ${frameCount}.`,
    { hint: 'See the poison queue for batches that could not be processed: npm run poison list' },
  );
}

/** Throws JobEndedError if the ledger has forgotten, reopened or split the job again since the step was queued. */
async function currentJob(ledger: Ledger, { jobId, epoch, splitNumber }: JobRun): Promise<LedgerJob> {
  const job = await ledger.job(jobId);
  if (job?.definition.epoch !== epoch || job.splitNumber !== splitNumber)
    throw new JobEndedError(`job ${jobId} was reopened`);
  return job;
}

/** Null if no point of the video stands still. */
function flickerOf(segments: readonly StoredSegment[]): number | null {
  const points = segments.reduce((total, { flicker }) => total + flicker.points, 0);
  const sum = segments.reduce((total, { flicker }) => total + flicker.sum, 0);
  return points === 0 ? null : Number((sum / points).toFixed(2));
}

async function readTimeline(blobs: BlobStore, run: JobRun): Promise<Timeline> {
  const text = String(await blobs.get('pieces', timelineBlob(run)));
  try {
    return decodeTimeline(text);
  } catch (cause) {
    throw new PermanentError('JOB_INVALID', `The timeline of job ${run.jobId} cannot be read.`, {
      hint: 'Enqueue the video again. If this error recurs, report it with the producer log.',
      cause,
    });
  }
}

/** Yields the segments in order, and records how many frames have been joined. */
async function* counted(
  { blobs, ledger, metrics }: StitchServices,
  jobId: string,
  segments: readonly StoredSegment[],
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const fetches: Promise<Buffer>[] = [];
  for (const [number, { frames }] of segments.entries()) {
    while (fetches.length < SEGMENTS_AHEAD && number + fetches.length < segments.length) {
      const fetch = fetchSegment(blobs, segments[number + fetches.length], signal);
      fetch.catch(() => undefined); // Awaited when the segment is due.
      fetches.push(fetch);
    }
    const bytes = await fetches.shift();
    if (bytes !== undefined) yield bytes;
    metrics.framesStitched.inc(frames[1] - frames[0]);
    await ledger.recordStitched(jobId, frames[1]);
  }
}

async function fetchSegment(
  blobs: BlobStore,
  segment: StoredSegment | undefined,
  signal: AbortSignal,
): Promise<Buffer> {
  const bytes = segment && (await blobs.get('scored', segment.name, { signal }));
  if (bytes !== undefined) return bytes;
  throw new TransientError('STORAGE_UNAVAILABLE', `The segment ${segment?.name} is not in storage any more.`);
}

function isDiskFull(error: unknown): boolean {
  return isToolFailure(error) && /no space left/i.test(error.message);
}
