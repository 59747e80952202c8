/**
 * The `split` step: takes the source apart into pieces that workers can decode alone, `pieces/<jobId>/<split>/`, with the plan and the
 * timestamps of all frames. Batches become ready while it runs. Problems that would fail the job at its end are detected first: a source
 * that is truncated or too large, tracks that the result cannot hold.
 *
 * A source is cut without decoding if its index proves that this is safe. Otherwise it is decoded once, into JPEGs. If cutting fails, or a
 * worker does not find the planned frames in a piece, the job is split again by decoding: a new split, which shares nothing with the first.
 *
 * Idempotent: a second run gives the same pieces, and stores only the missing ones.
 */
import { rm } from 'node:fs/promises';
import path from 'node:path';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { firstFrameOfPiece, pieceBlob, splitPrefix, timelineBlob } from '../../shared/contract/blob-names.ts';
import { isTerminal } from '../../shared/contract/job.ts';
import { cutText } from '../../shared/contract/messages.ts';
import type { SourcePlan } from '../../shared/contract/source-plan.ts';
import { decodedColourOf, jpegChromaLocation, resultColourOf } from '../../shared/media/colour.ts';
import { type SourceLimits, type VideoInfo, checkLimits, tooLongError } from '../../shared/media/probe.ts';
import { isToolFailure } from '../../shared/media/tool-process.ts';
import { type LedgerJob, isPaused } from '../../shared/redis/ledger-job.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { cutPieces } from '../media/cut-pieces.ts';
import { type CutPlan, type Cuts, planCuts } from '../media/cut-plan.ts';
import { type DecodeLimits, decodeFrames } from '../media/decode-frames.ts';
import { jpegPieceFormat, packJpegs } from '../media/jpeg-pieces.ts';
import { readPacketIndex } from '../media/packet-index.ts';
import { type Timeline, encodeTimeline, secondsPerTick } from '../media/timeline.ts';
import { workableTracks } from '../media/try-tracks.ts';
import type { JobFolders } from './job-folders.ts';
import { decodedPieceFramesMax, planBatchSizes } from './plan-batches.ts';
import { probeSource } from './probe-source.ts';
import { putSourcePlan, readSourcePlan } from './source-plans.ts';
import { splitAgain } from './split-again.ts';
import { type SplitImagesServices, splitImages } from './split-images.ts';
import { type JobRun, PAUSED_RETRY_MS, StepDeferredError, type Steps } from './steps.ts';
import { stitchIfResolved } from './stitch-when-resolved.ts';

/** Hides the latency of storage. Decoded pieces are held in memory. */
const UPLOADS_AT_ONCE = 2;

export interface SplitServices extends SplitImagesServices {
  readonly folders: JobFolders;
  readonly steps: Steps;
  readonly sourceLimits: SourceLimits & DecodeLimits;
  readonly log: Log;
}

/** The job has ended or been split again meanwhile, so this split is of no use any more. */
class SplitReplacedError extends Error {}

export async function split(services: SplitServices, run: JobRun, signal: AbortSignal): Promise<void> {
  const { ledger, folders, log } = services;
  const { jobId, epoch, splitNumber } = run;
  await beginAgain(services, run);
  const job = await ledger.job(jobId);
  if (job?.definition.epoch !== epoch || job.splitNumber !== splitNumber) return;
  if (isTerminal(job.state)) return;
  if (isPaused(job)) throw new StepDeferredError('the job is paused', PAUSED_RETRY_MS);
  if (job.splitFinished) return stitchIfResolved(services, jobId);
  const { request } = job.definition;
  if (request.source.kind === 'images') {
    await ledger.move(jobId, 'running', { epoch });
    const images = await splitImages(services, run, job, signal);
    if (images === undefined || !(await ledger.finishSplit(run, images))) return;
    await stitchIfResolved(services, jobId);
    log.info({ jobId, images }, 'split finished');
    return;
  }
  // Cutting makes a copy of the video track.
  await using folder = await folders.enter(request, 'split', request.source.sizeBytes);
  await ledger.move(jobId, 'running', { epoch });
  const sourcePath = await folder.source(signal);
  const video = await probeSource(sourcePath, request);
  checkLimits(video, services.sourceLimits);
  await workableTracks({ sourcePath, video, folder: folder.path, signal });
  const source = { run, job, sourcePath, video, folder: folder.path, signal };
  const cuts = await cutsOf(services, source);
  try {
    const timeline =
      cuts.kind === 'cut' ? await cut(services, source, cuts) : await decode(services, source, cuts.reason);
    assertCurrent(await ledger.finishSplit(run, timeline.pts.length));
    await stitchIfResolved(services, jobId);
    log.info({ jobId, splitNumber, frames: timeline.pts.length }, 'split finished');
  } catch (error) {
    if (error instanceof SplitReplacedError) {
      log.info({ jobId, splitNumber }, 'split stopped: the job has ended or is split again');
    } else if (cuts.kind === 'cut' && isToolFailure(error)) {
      await splitAgain(services, job, `cutting it failed (${clauseOf(error)})`);
    } else throw error;
  }
}

/** For a second split: makes the ledger forget the first. No effect if that has been done already. */
async function beginAgain({ ledger, log }: SplitServices, run: JobRun): Promise<void> {
  const { jobId, epoch, splitNumber, againBecause: reason } = run;
  if (reason === undefined) return;
  if (!(await ledger.splitAgain({ jobId, splitNumber: splitNumber - 1 }, epoch))) return;
  log.warn({ jobId, splitNumber, reason }, 'job is split again by decoding');
  await ledger.warn(jobId, `The source was split a second time, by decoding it: ${reason}.`);
}

interface OpenSource {
  readonly run: JobRun;
  readonly job: LedgerJob;
  readonly sourcePath: string;
  readonly video: VideoInfo;
  /** For temporary files. */
  readonly folder: string;
  readonly signal: AbortSignal;
}

async function cutsOf(
  { sourceLimits }: SplitServices,
  { run, sourcePath, video }: OpenSource,
): Promise<CutPlan> {
  if (run.splitNumber > 1) return { kind: 'decode', reason: 'its pieces were not as planned' };
  const { framesMax, durationSecondsMax } = sourceLimits;
  const index = await readPacketIndex(sourcePath, video, framesMax).catch((error: unknown) => {
    if (isToolFailure(error)) return error;
    throw error;
  });
  if (index instanceof PermanentError)
    return { kind: 'decode', reason: `its index cannot be read (${clauseOf(index)})` };
  const cuts = planCuts(video, index);
  if (cuts.kind === 'cut') {
    const { pts } = cuts.timeline;
    const spanSeconds = ((pts.at(-1) ?? 0) - (pts[0] ?? 0)) * secondsPerTick(cuts.timeline);
    if (spanSeconds > durationSecondsMax)
      throw tooLongError('lasts longer than its header says', `${durationSecondsMax} s`);
  }
  return cuts;
}

async function cut(services: SplitServices, source: OpenSource, cuts: Cuts): Promise<Timeline> {
  const { blobs } = services;
  const { run, video, signal } = source;
  const { timeline, pieceStarts } = cuts;
  const frameCount = timeline.pts.length;
  const { codec, width, height } = video;
  const pieceFormat = { container: 'nut', codec, width, height, colour: decodedColourOf(video) } as const;
  await putTimeline(services, source, timeline);
  const pieces = { kind: 'cut', starts: pieceStarts, frameCount } as const;
  await putPlan(services, source, { pieceFormat, pieces, framesExpected: frameCount });
  await storePieces(services, source, cutFiles(services, source, cuts), async ({ file }, start) => {
    await blobs.putFile('pieces', pieceBlob(run, start, pieceFormat), file, { signal });
    await rm(file);
  });
  return timeline;
}

async function* cutFiles(
  { sourceLimits }: SplitServices,
  { sourcePath, video, folder, signal }: OpenSource,
  { timeline, pieceStarts }: Cuts,
): AsyncGenerator<{ readonly file: string; readonly frames: number }, void> {
  const { cpuSecondsMax } = sourceLimits;
  const ends = [...pieceStarts.slice(1), timeline.pts.length];
  let number = 0;
  const pieces = {
    sourcePath,
    video,
    pieceStarts,
    folder: path.join(folder, 'pieces'),
    cpuSecondsMax,
    signal,
  };
  for await (const file of cutPieces(pieces)) {
    yield { file, frames: (ends[number] ?? 0) - (pieceStarts[number] ?? 0) };
    number += 1;
  }
}

async function decode(services: SplitServices, source: OpenSource, reason: string): Promise<Timeline> {
  const { blobs, sourceLimits, log } = services;
  const { run, video, signal } = source;
  const { jobId } = run;
  log.info({ jobId, reason }, 'source is decoded by the producer');
  const pieceFormat = jpegPieceFormat(video, jpegChromaLocation(video));
  const pieceFrames = decodedPieceFramesMax({ megapixelsPerFrame: (video.width * video.height) / 1e6 });
  const framesExpected = video.frameCountExpected ?? 0;
  await putPlan(services, source, {
    pieceFormat,
    pieces: { kind: 'decoded', pieceFrames, reason: cutText(reason) },
    framesExpected,
  });
  const frames = decodeFrames({
    ...source,
    limits: sourceLimits,
    onWarnings: (warnings) => {
      if (warnings.length > 0) log.warn({ jobId, warnings }, 'ffmpeg reported errors while decoding');
    },
  });
  const pieces = packJpegs(frames, { ...pieceFormat, pieceFrames });
  const timeline = await storePieces(services, source, pieces, async ({ bytes }, start) => {
    await blobs.put('pieces', pieceBlob(run, start, pieceFormat), bytes, { onlyIfAbsent: true, signal });
  });
  await putTimeline(services, source, timeline);
  return timeline;
}

/** Stores the pieces that are not in storage yet, in order. Returns what `pieces` returns. */
async function storePieces<P extends { readonly frames: number }, R>(
  { blobs, ledger, metrics }: SplitServices,
  { run }: OpenSource,
  pieces: AsyncGenerator<P, R>,
  store: (piece: P, firstFrame: number) => Promise<void>,
): Promise<R> {
  const stored = await listStoredPieces(blobs, run);
  const uploads: { readonly end: number; readonly frames: number; readonly upload: Promise<void> }[] = [];
  const settleOldest = async (): Promise<void> => {
    const oldest = uploads.shift();
    if (oldest === undefined) return;
    await oldest.upload;
    assertCurrent(await ledger.recordSplit(run, oldest.end));
    metrics.framesSplit.inc(oldest.frames);
  };
  let start = 0;
  // `await using` stops ffmpeg even if an upload fails.
  await using source = pieces;
  for (;;) {
    const { done, value } = await source.next();
    if (done === true) {
      while (uploads.length > 0) await settleOldest();
      return value;
    }
    const upload = stored.has(start) ? Promise.resolve() : store(value, start);
    upload.catch(() => undefined); // Awaited in `settleOldest`.
    start += value.frames;
    uploads.push({ end: start, frames: value.frames, upload });
    if (uploads.length >= UPLOADS_AT_ONCE) await settleOldest();
  }
}

/** The first frames of the pieces that an earlier run of this split has stored. */
async function listStoredPieces(blobs: BlobStore, run: JobRun): Promise<ReadonlySet<number>> {
  const stored = new Set<number>();
  for await (const { name } of blobs.list('pieces', { prefix: splitPrefix(run) })) {
    const firstFrame = firstFrameOfPiece(name);
    if (firstFrame !== undefined) stored.add(firstFrame);
  }
  return stored;
}

type PlannedPieces = Pick<SourcePlan, 'pieceFormat' | 'pieces'> & { readonly framesExpected: number };

/**
 * Writes the plan, which batches refer to, before any batch becomes ready. The sizes of batches and segments are those of the first plan of
 * this split, even if two producers write one: storage may hold segments of that size.
 */
async function putPlan(services: SplitServices, source: OpenSource, planned: PlannedPieces): Promise<void> {
  const { blobs, ledger } = services;
  const { run, job, video } = source;
  const { framesExpected, ...pieces } = planned;
  const megapixelsPerFrame = (video.width * video.height) / 1e6;
  const { contextFrames } = job.definition;
  const earlier = await readSourcePlan(blobs, run);
  const sizes =
    earlier ??
    planBatchSizes({
      framesExpected,
      megapixelsPerFrame,
      megapixelsPerSecond: await ledger.rate(job.definition.model.name),
      requested: job.definition.request.batchSize,
      contextFrames: contextFrames ?? 0,
    });
  const { batchFrames, segmentFrames } = sizes;
  const { framesPerSecond, sampleAspectRatio } = video;
  const picture = { framesPerSecond, sampleAspectRatio, colour: resultColourOf(video) };
  const context = contextFrames === undefined ? {} : { contextFrames };
  const plan = { version: 1 as const, ...pieces, picture, batchFrames, segmentFrames, ...context };
  const onlyIfAbsent = earlier === undefined;
  if ((await putSourcePlan(blobs, run, plan, { onlyIfAbsent })) === 'exists')
    return putPlan(services, source, planned);
  assertCurrent(await ledger.planSplit(run, { framesExpected, megapixelsPerFrame, batchSize: batchFrames }));
}

async function putTimeline(
  { blobs }: SplitServices,
  { run, signal }: OpenSource,
  timeline: Timeline,
): Promise<void> {
  const options = { contentType: 'application/json', signal };
  await blobs.put('pieces', timelineBlob(run), encodeTimeline(timeline), options);
}

/** An error's message, to be a part of another sentence. */
function clauseOf({ message }: Error): string {
  return message.replace(/\.$/, '');
}

function assertCurrent(isCurrent: boolean): void {
  if (!isCurrent) throw new SplitReplacedError();
}
