/** Which frames of a job storage holds as scored or failed. Storage is the source of truth; the ledger is an index of it. */
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
import type { FailureReason, FrameOutcomes } from '../../shared/redis/ledger-job.ts';

const FETCHES_AT_ONCE = 16;

export interface OutcomeIndices {
  readonly scored: ReadonlySet<number>;
  /** Failed and not scored since. */
  readonly failed: readonly number[];
}

/** Reads blob names only: one request for 5,000 frames. */
export async function listOutcomes(blobs: BlobStore, jobId: string): Promise<OutcomeIndices> {
  const scored = new Set<number>();
  const failed: number[] = [];
  for await (const { name } of blobs.list('scored', { prefix: jobPrefix(jobId) })) {
    const [scoredIndex, failedIndex] = [frameIndexOf(name), failedFrameIndexOf(name)];
    if (scoredIndex !== undefined) scored.add(scoredIndex);
    if (failedIndex !== undefined) failed.push(failedIndex);
  }
  return { scored, failed: failed.filter((frameIndex) => !scored.has(frameIndex)) };
}

/** Also reads why each frame failed. Workers skip a frame while its failure record exists, readable or not. */
export async function readOutcomes(blobs: BlobStore, jobId: string): Promise<FrameOutcomes> {
  const { scored, failed } = await listOutcomes(blobs, jobId);
  const limit = pLimit(FETCHES_AT_ONCE);
  const reasons = new Map<string, FailureReason & { readonly frameIndices: number[] }>();
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
