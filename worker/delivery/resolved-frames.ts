/**
 * What storage holds of a batch: segments, and the records of frames that are given up. Storage is the only source, so it does not matter
 * which worker stored them, or what became of its message.
 */
import pLimit from 'p-limit';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import {
  type SplitOfJob,
  failedFrameBlob,
  failedFrameIndexOf,
  framesOfSegment,
  framesPrefix,
} from '../../shared/contract/blob-names.ts';
import { type FailedFrame, encodeFailedFrame, failureIn } from '../../shared/contract/failed-frame.ts';
import type { BatchMessage } from '../../shared/contract/messages.ts';
import type { FrameRange } from '../../shared/contract/ranges.ts';
import { failedInSegment, segmentsOf } from '../../shared/contract/segment.ts';
import type { DeliveryServices } from './services.ts';

const BLOBS_AT_ONCE = 8;

export interface FramesInStorage {
  readonly stored: readonly SegmentInStorage[];
  /** Segments that are not stored. */
  readonly open: readonly FrameRange[];
  /** Frames with a failure record, whether their segment is stored or not. */
  readonly givenUp: ReadonlySet<number>;
}

export interface SegmentInStorage {
  readonly frames: FrameRange;
  /** The frames that show a replacement. */
  readonly failed: readonly number[];
}

/** Takes one listing. Listings are sorted, so it stops after the batch's last frame, however many frames the job has. */
export async function listFramesInStorage(batch: BatchMessage, blobs: BlobStore): Promise<FramesInStorage> {
  const { frameStart, frameEnd, segmentFrames } = batch;
  const range: FrameRange = [frameStart, frameEnd];
  const found = new Map<number, SegmentInStorage>();
  const givenUp = new Set<number>();
  const listing = { prefix: framesPrefix(batch, range), withMetadata: true };
  for await (const { name, metadata } of blobs.list('scored', listing)) {
    const frames = framesOfSegment(name);
    const frameIndex = frames?.[0] ?? failedFrameIndexOf(name);
    if (frameIndex === undefined || frameIndex < frameStart) continue;
    if (frameIndex >= frameEnd) break;
    if (frames === undefined) givenUp.add(frameIndex);
    else found.set(frameIndex, { frames, failed: failedInSegment(frames, metadata) });
  }
  const segments = segmentsOf(range, segmentFrames);
  const isStored = ([start, end]: FrameRange): boolean => found.get(start)?.frames[1] === end;
  return {
    stored: segments.filter(isStored).map((frames) => found.get(frames[0]) ?? { frames, failed: [] }),
    open: segments.filter((frames) => !isStored(frames)),
    givenUp,
  };
}

/** Why frames were given up. Leaves out frames that have been reopened in the meantime. */
export async function readFailures(
  split: SplitOfJob,
  frameIndices: Iterable<number>,
  blobs: BlobStore,
): Promise<FailedFrame[]> {
  const found = await pLimit(BLOBS_AT_ONCE).map(frameIndices, async (frameIndex) => {
    const bytes = await blobs.get('scored', failedFrameBlob(split, frameIndex));
    if (bytes === undefined) return [];
    const { kind, message, attempts } = failureIn(bytes.toString('utf8'));
    return [{ frameIndex, kind, message, attempts }];
  });
  return found.flat();
}

/** Records that frames are given up. Safe to repeat. */
export async function putFailures(
  batch: BatchMessage,
  givenUp: readonly FailedFrame[],
  { blobs, clock, workerId }: DeliveryServices,
): Promise<void> {
  const failedAt = clock.now().toISOString();
  const { model } = batch;
  await pLimit(BLOBS_AT_ONCE).map(givenUp, ({ frameIndex, kind, message, attempts }) =>
    blobs.put(
      'scored',
      failedFrameBlob(batch, frameIndex),
      encodeFailedFrame({ frameIndex, kind, message, attempts, worker: workerId, model, failedAt }),
      { contentType: 'application/json' },
    ),
  );
}
