/** Stores what a run has made of its frames. A segment is stored only if it is absent: both workers report what is stored. */
import { reachStorage } from '../../shared/azure/storage-errors.ts';
import { type SegmentExtension, linesBlob, segmentBlob } from '../../shared/contract/blob-names.ts';
import type { FrameRange } from '../../shared/contract/ranges.ts';
import { failedInSegment } from '../../shared/contract/segment.ts';
import type { SegmentRun } from './infer-stage.ts';
import type { ModelOutput } from './model-output.ts';

/** Before its segment, so a stored segment has them. Overwrites: a frame that failed before may be scored by now. */
export async function storeLines(
  { request, blobs, discard: signal }: SegmentRun,
  { numbers }: ModelOutput,
  frames: FrameRange,
): Promise<void> {
  const lines = numbers?.linesOf?.(frames);
  if (lines === undefined) return;
  const options = { contentType: 'application/x-ndjson', signal };
  await reachStorage('the scored container', () =>
    blobs.put('scored', linesBlob(request, frames), lines, options),
  );
}

interface SegmentToStore {
  readonly frames: FrameRange;
  readonly failed: readonly number[];
  readonly extension: SegmentExtension;
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly bytes: Buffer;
}

/** Returns the frames that show a replacement in storage: those of this segment, or of one that another worker has stored before. */
export async function storeSegment(
  { request, blobs, discard: signal }: SegmentRun,
  { frames, failed, extension, contentType, metadata, bytes }: SegmentToStore,
): Promise<readonly number[]> {
  const name = segmentBlob(request, frames, extension);
  return reachStorage('the scored container', async () => {
    const options = { onlyIfAbsent: true, contentType, metadata, signal };
    if ((await blobs.put('scored', name, bytes, options)) === 'created') return failed;
    const found = await blobs.stat('scored', name, { signal });
    return found === undefined ? failed : failedInSegment(frames, found.metadata);
  });
}
