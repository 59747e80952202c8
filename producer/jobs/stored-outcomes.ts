/** What storage holds of a split: its segments, and why frames failed. Storage is the source of truth; the ledger is an index of it. */
import pLimit from 'p-limit';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import {
  type SplitOfJob,
  failedFrameBlob,
  failedFrameIndexOf,
  framesOfSegment,
  splitPrefix,
} from '../../shared/contract/blob-names.ts';
import { failureIn } from '../../shared/contract/failed-frame.ts';
import { type FrameRange, indicesOf, toRanges } from '../../shared/contract/ranges.ts';
import {
  type FlickerSum,
  type FrameSize,
  failedInSegment,
  flickerInSegment,
  sizeInSegment,
} from '../../shared/contract/segment.ts';
import type { FailureReason, FrameOutcomes } from '../../shared/redis/ledger-job.ts';

const FETCHES_AT_ONCE = 16;

export interface StoredSegment {
  readonly name: string;
  readonly frames: FrameRange;
  readonly sizeBytes: number;
  /** The frames that show a replacement. */
  readonly failed: readonly number[];
  /** Of the scored frames, before the encoder made it even. */
  readonly size: FrameSize | undefined;
  readonly flicker: FlickerSum;
}

interface StoredOutcomes {
  /** Ascending by their first frame. */
  readonly segments: readonly StoredSegment[];
  /** Frames with a failure record, with or without a segment. */
  readonly recorded: ReadonlySet<number>;
}

/** One request for 5,000 segments and records. */
export async function listOutcomes(blobs: BlobStore, split: SplitOfJob): Promise<StoredOutcomes> {
  const segments: StoredSegment[] = [];
  const recorded = new Set<number>();
  for await (const blob of blobs.list('scored', { prefix: splitPrefix(split), withMetadata: true })) {
    const { name, sizeBytes, metadata } = blob;
    const frames = framesOfSegment(name);
    const frameIndex = failedFrameIndexOf(name);
    if (frames !== undefined)
      segments.push({
        name,
        frames,
        sizeBytes,
        failed: failedInSegment(frames, metadata),
        size: sizeInSegment(metadata),
        flicker: flickerInSegment(metadata),
      });
    if (frameIndex !== undefined) recorded.add(frameIndex);
  }
  return { segments, recorded };
}

/** The frames whose segments are stored, with the reasons of those that show a replacement. */
export async function readOutcomes(blobs: BlobStore, split: SplitOfJob): Promise<FrameOutcomes> {
  const { segments } = await listOutcomes(blobs, split);
  const failed = new Set(segments.flatMap((segment) => segment.failed));
  const stored = indicesOf(segments.map(({ frames }) => frames));
  const reasons = new Map<string, FailureReason & { readonly frameIndices: number[] }>();
  await pLimit(FETCHES_AT_ONCE).map(failed, async (frameIndex) => {
    const bytes = await blobs.get('scored', failedFrameBlob(split, frameIndex));
    const { kind, message } = failureIn(String(bytes));
    const key = `${kind}: ${message}`;
    const reason = reasons.get(key) ?? { kind, message, frameIndices: [] };
    reason.frameIndices.push(frameIndex);
    reasons.set(key, reason);
  });
  return {
    scored: toRanges([...stored].filter((frameIndex) => !failed.has(frameIndex))),
    failed: [...reasons.values()].map(({ kind, message, frameIndices }) => ({
      kind,
      message,
      frames: toRanges(frameIndices),
    })),
  };
}
