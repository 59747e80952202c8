/**
 * Yields the scored frames of a job in order, for the stitch to pass to ffmpeg.
 *
 * Waits until each frame is scored or has failed for good, and replaces a failed frame according to the job's policy. Prefetches
 * a few frames, so memory use does not depend on the length of the video.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { frameBlob, scoredBlob } from '../../shared/contract/blob-names.ts';
import type { FailedFramePolicy } from '../../shared/contract/encoding.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import { PermanentError, TransientError } from '../../shared/runtime/errors.ts';
import { isWholeJpeg } from '../media/jpeg-size.ts';

const FETCHES_AT_ONCE = 16;
const WAIT_MS = 250;

/** The job ended, or was reopened, while the stitch waited for its frames. */
export class JobEndedError extends Error {}

export interface OrderedFramesOptions {
  readonly blobs: BlobStore;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly jobId: string;
  /** If the job is reopened, its epoch changes and this iteration ends. */
  readonly epoch: number;
  readonly frameCount: number;
  readonly onFailedFrame: FailedFramePolicy;
  readonly signal: AbortSignal;
}

/** Throws JobEndedError. */
export async function* framesInOrder(order: OrderedFramesOptions): AsyncGenerator<Buffer> {
  const { frameCount, clock, signal } = order;
  const fetches: Promise<Buffer | undefined>[] = [];
  let nextFetch = 0;
  let resolved = 0;
  let previous: Buffer | undefined;
  for (let frameIndex = 0; frameIndex < frameCount; frameIndex += 1) {
    for (;;) {
      while (fetches.length < FETCHES_AT_ONCE && nextFetch < frameCount) {
        if (nextFetch >= resolved) resolved = await order.ledger.resolvedUpTo(order.jobId, nextFetch);
        if (nextFetch >= resolved) break;
        const fetch = scoredFrame(order, nextFetch);
        fetch.catch(() => undefined); // Awaited when the frame is due.
        fetches.push(fetch);
        nextFetch += 1;
      }
      if (fetches.length > 0) break;
      await assertRunning(order);
      await clock.sleep(WAIT_MS, signal);
    }
    const frame = (await fetches.shift()) ?? (await replacement(order, frameIndex, previous));
    yield frame;
    previous = frame;
  }
}

async function scoredFrame(
  { blobs, jobId, signal }: OrderedFramesOptions,
  frameIndex: number,
): Promise<Buffer | undefined> {
  return blobs.get('scored', scoredBlob(jobId, frameIndex), { signal });
}

/** The substitute for a failed frame: always a complete JPEG. */
async function replacement(
  order: OrderedFramesOptions,
  frameIndex: number,
  previous: Buffer | undefined,
): Promise<Buffer> {
  const { blobs, ledger, jobId, onFailedFrame, signal } = order;
  const failure = await ledger.failure(jobId, frameIndex);
  if (failure === undefined) {
    throw new TransientError(
      'STORAGE_UNAVAILABLE',
      `Frame ${frameIndex} is recorded as scored, but its image is not in storage.`,
    );
  }
  await assertRunning(order);
  if (onFailedFrame === 'repeat-previous' && previous !== undefined) return previous;
  const original = await blobs.get('frames', frameBlob(jobId, frameIndex), { signal });
  if (original !== undefined && failure.kind !== 'undecodable' && isWholeJpeg(original)) return original;
  return previous ?? (await nextScored(order, frameIndex));
}

/** The next frame that is scored, for a video whose first frames all failed. */
async function nextScored(order: OrderedFramesOptions, frameIndex: number): Promise<Buffer> {
  const { ledger, clock, jobId, frameCount, signal } = order;
  for (let next = frameIndex + 1; next < frameCount; next += 1) {
    while ((await ledger.resolvedUpTo(jobId, next)) <= next) {
      await assertRunning(order);
      await clock.sleep(WAIT_MS, signal);
    }
    const frame = await scoredFrame(order, next);
    if (frame !== undefined) return frame;
  }
  throw new PermanentError(
    'TOO_MANY_FAILED_FRAMES',
    `No frame from frame ${frameIndex} to the end could be scored.`,
    {
      hint: 'Read the reasons in scored/<job>/<frame>.failed.json, and check the first of these frames in the source.',
    },
  );
}

async function assertRunning({ ledger, jobId, epoch }: OrderedFramesOptions): Promise<void> {
  const job = await ledger.job(jobId);
  if (job?.state !== 'running' || job.definition.epoch !== epoch)
    throw new JobEndedError(`job ${jobId} has ended`);
}
