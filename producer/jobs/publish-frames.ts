/** Publishes what a job has beside its video: images of the frames, and what was drawn into them. */
import pLimit from 'p-limit';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import {
  isFrameImage,
  isLines,
  leafOf,
  resultFrameBlob,
  splitPrefix,
} from '../../shared/contract/blob-names.ts';
import { type ScoresToJoin, joinScores } from './join-scores.ts';
import type { JobRun } from './steps.ts';

const IMAGES_AT_ONCE = 16;

/** Copies the images of the frames to `results/<jobId>/frames/`. */
export async function publishFrameImages(blobs: BlobStore, run: JobRun, signal: AbortSignal): Promise<void> {
  const limit = pLimit(IMAGES_AT_ONCE);
  const copies: Promise<void>[] = [];
  for await (const { name } of blobs.list('scored', { prefix: splitPrefix(run), signal })) {
    if (!isFrameImage(name)) continue;
    const copy = limit(async () => {
      const bytes = await blobs.get('scored', name, { signal });
      const contentType = name.endsWith('.png') ? 'image/png' : 'image/jpeg';
      if (bytes !== undefined)
        await blobs.put('results', resultFrameBlob(run.jobId, leafOf(name)), bytes, { contentType, signal });
    });
    copy.catch(() => undefined); // Awaited at the end.
    copies.push(copy);
  }
  await Promise.all(copies);
}

/** What was drawn into the frames, as lines beside the video. */
export async function publishLines(
  blobs: BlobStore,
  run: JobRun,
  { frameCount, factsOf, signal }: Omit<ScoresToJoin, 'segments'>,
): Promise<void> {
  const segments = async function* () {
    for await (const { name } of blobs.list('scored', { prefix: splitPrefix(run), signal }))
      if (isLines(name)) yield (await blobs.get('scored', name, { signal })) ?? Buffer.alloc(0);
  };
  await joinScores(blobs, run.jobId, {
    segments: segments(),
    frameCount,
    factsOf,
    signal,
  });
}
