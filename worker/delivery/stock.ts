/** What is known of a batch's frames in storage, from one listing: whoever stored them, and whatever became of the messages. */
import pLimit from 'p-limit';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import {
  failedFrameBlob,
  failedFrameIndexOf,
  frameIndexOf,
  framesPrefix,
} from '../../shared/contract/blob-names.ts';
import { failureIn } from '../../shared/contract/failed-frame.ts';
import type { BatchMessage } from '../../shared/contract/messages.ts';
import type { FailedForGood } from './result.ts';

const BLOBS_AT_ONCE = 8;

export interface Stock {
  readonly scored: ReadonlySet<number>;
  /** Given up, and not scored since. */
  readonly failed: ReadonlySet<number>;
}

/** A listing is sorted: it ends with the batch's last frame, however many the job has. */
export async function takeStock(
  { jobId, frameStart, frameEnd }: Pick<BatchMessage, 'jobId' | 'frameStart' | 'frameEnd'>,
  blobs: BlobStore,
): Promise<Stock> {
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

/** Why frames were given up. One that has been reopened in the meantime is not told. */
export async function readFailures(
  jobId: string,
  frameIndices: Iterable<number>,
  blobs: BlobStore,
): Promise<FailedForGood[]> {
  const found = await pLimit(BLOBS_AT_ONCE).map(frameIndices, async (frameIndex) => {
    const bytes = await blobs.get('scored', failedFrameBlob(jobId, frameIndex));
    if (bytes === undefined) return [];
    const { kind, message } = failureIn(bytes.toString('utf8'));
    return [{ frameIndex, kind, message }];
  });
  return found.flat();
}
