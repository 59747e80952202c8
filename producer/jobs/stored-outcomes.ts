/** What storage holds of a job's frames: those that are scored, and those that were given up. The ledger only indexes it. */
import pLimit from 'p-limit';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import {
  failedFrameBlob,
  failedFrameIndexOf,
  frameIndexOf,
  jobPrefix,
} from '../../shared/contract/blob-names.ts';
import { failureIn } from '../../shared/contract/failed-frame.ts';
import { toRanges } from '../../shared/contract/ranges.ts';
import type { FrameFailure, FrameOutcomes } from '../../shared/redis/ledger-job.ts';

const FETCHES_AT_ONCE = 16;

export interface StoredFrames {
  readonly scored: ReadonlySet<number>;
  /** Given up, and not scored by anybody since. */
  readonly failed: readonly number[];
}

/** By name alone: one request for 5,000 frames. */
export async function storedFrames(blobs: BlobStore, jobId: string): Promise<StoredFrames> {
  const scored = new Set<number>();
  const failed: number[] = [];
  for await (const { name } of blobs.list('scored', { prefix: jobPrefix(jobId) })) {
    const [scoredIndex, failedIndex] = [frameIndexOf(name), failedFrameIndexOf(name)];
    if (scoredIndex !== undefined) scored.add(scoredIndex);
    if (failedIndex !== undefined) failed.push(failedIndex);
  }
  return { scored, failed: failed.filter((frameIndex) => !scored.has(frameIndex)) };
}

/** With the reason of each frame that was given up. Workers try none of them while its record is there, readable or not. */
export async function storedOutcomes(blobs: BlobStore, jobId: string): Promise<FrameOutcomes> {
  const { scored, failed } = await storedFrames(blobs, jobId);
  const limit = pLimit(FETCHES_AT_ONCE);
  const reasons = new Map<string, FrameFailure & { readonly frameIndices: number[] }>();
  const read = async (frameIndex: number): Promise<void> => {
    const bytes = await blobs.get('scored', failedFrameBlob(jobId, frameIndex));
    if (bytes === undefined) return;
    const { kind, message } = failureIn(bytes.toString('utf8'));
    const key = `${kind}: ${message}`;
    const reason = reasons.get(key) ?? { kind, message, frameIndices: [] };
    reason.frameIndices.push(frameIndex);
    reasons.set(key, reason);
  };
  await Promise.all(failed.map((frameIndex) => limit(() => read(frameIndex))));
  return {
    scored: toRanges(scored),
    failed: [...reasons.values()].map(({ kind, message, frameIndices }) => ({
      kind,
      message,
      frames: toRanges(frameIndices),
    })),
  };
}
