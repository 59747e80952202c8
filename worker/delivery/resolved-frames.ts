/**
 * The frames of a batch that are resolved in storage: scored, or given up with a failure record. Storage is the only source, so
 * it does not matter which worker resolved them, or what became of its message.
 */
import pLimit from 'p-limit';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import {
  failedFrameBlob,
  failedFrameIndexOf,
  frameIndexOf,
  framesPrefix,
} from '../../shared/contract/blob-names.ts';
import { type FailedFrame, encodeFailedFrame, failureIn } from '../../shared/contract/failed-frame.ts';
import type { BatchMessage } from '../../shared/contract/messages.ts';
import type { DeliveryServices } from './services.ts';

const BLOBS_AT_ONCE = 8;

export interface ResolvedFrames {
  readonly scored: ReadonlySet<number>;
  /** Given up, and not scored since. */
  readonly failed: ReadonlySet<number>;
}

/** Takes one listing. Listings are sorted, so it stops after the batch's last frame, however many frames the job has. */
export async function listResolvedFrames(
  { jobId, frameStart, frameEnd }: Pick<BatchMessage, 'jobId' | 'frameStart' | 'frameEnd'>,
  blobs: BlobStore,
): Promise<ResolvedFrames> {
  const scored = new Set<number>();
  const failed = new Set<number>();
  for await (const { name } of blobs.list('scored', { prefix: framesPrefix(jobId, frameStart, frameEnd) })) {
    const scoredIndex = frameIndexOf(name);
    const failedIndex = failedFrameIndexOf(name);
    const frameIndex = scoredIndex ?? failedIndex;
    if (frameIndex === undefined || frameIndex < frameStart) continue;
    if (frameIndex >= frameEnd) break;
    (scoredIndex === undefined ? failed : scored).add(frameIndex);
  }
  for (const frameIndex of scored) failed.delete(frameIndex);
  return { scored, failed };
}

/** Why frames were given up. Leaves out frames that have been reopened in the meantime. */
export async function readFailures(
  jobId: string,
  frameIndices: Iterable<number>,
  blobs: BlobStore,
): Promise<FailedFrame[]> {
  const found = await pLimit(BLOBS_AT_ONCE).map(frameIndices, async (frameIndex) => {
    const bytes = await blobs.get('scored', failedFrameBlob(jobId, frameIndex));
    if (bytes === undefined) return [];
    const { kind, message, attempts } = failureIn(bytes.toString('utf8'));
    return [{ frameIndex, kind, message, attempts }];
  });
  return found.flat();
}

/** Records that frames are given up. Safe to repeat. */
export async function putFailures(
  { jobId, model }: BatchMessage,
  givenUp: readonly FailedFrame[],
  { blobs, clock, workerId }: DeliveryServices,
): Promise<void> {
  const failedAt = clock.now().toISOString();
  await pLimit(BLOBS_AT_ONCE).map(givenUp, ({ frameIndex, kind, message, attempts }) =>
    blobs.put(
      'scored',
      failedFrameBlob(jobId, frameIndex),
      encodeFailedFrame({ frameIndex, kind, message, attempts, worker: workerId, model, failedAt }),
      { contentType: 'application/json' },
    ),
  );
}
