/**
 * The `split` step of a job of still images: each image is a frame and a piece, which storage copies by itself. Batches become ready while
 * it runs. Idempotent: a second run copies only what is missing.
 */
import pLimit from 'p-limit';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { pieceBlob, sourceBlob } from '../../shared/contract/blob-names.ts';
import type { PictureFormat } from '../../shared/contract/encoding.ts';
import { type ImageList, decodeImageList } from '../../shared/contract/image-list.ts';
import type { JobRequest } from '../../shared/contract/job.ts';
import { IMAGE_PIECES } from '../../shared/contract/piece.ts';
import type { LedgerJob } from '../../shared/redis/ledger-job.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import { PermanentError, TransientError } from '../../shared/runtime/errors.ts';
import type { ProducerMetrics } from '../metrics.ts';
import { copyImage } from './copy-image.ts';
import { planBatchSizes } from './plan-batches.ts';
import { putSourcePlan, readSourcePlan } from './source-plans.ts';
import type { JobRun } from './steps.ts';

const COPIES_AT_ONCE = 16;
/** Images that are copied between two reports to the ledger. */
const COPIES_PER_REPORT = 64;
/** Images have no rate and no pixel shape. sRGB has the primaries of BT.709. */
const PICTURE: PictureFormat = {
  framesPerSecond: 1,
  sampleAspectRatio: { numerator: 1, denominator: 1 },
  colour: { matrix: 'bt709', range: 'full', primaries: 'bt709', transfer: 'iec61966-2-1' },
};

export interface SplitImagesServices {
  readonly blobs: BlobStore;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly metrics: ProducerMetrics;
}

/** Throws JOB_INVALID if there is no list of images, and SOURCE_CHANGED if it or an image is not what was enqueued. */
export async function readImageList(
  blobs: BlobStore,
  { jobId, source }: Pick<JobRequest, 'jobId' | 'source'>,
): Promise<ImageList> {
  const found = await blobs.getVersion('incoming', sourceBlob(jobId, source.name));
  if (found === undefined || found.etag !== source.etag) throw sourceChanged(source.name);
  const list = decodeImageList(found.bytes.toString('utf8'));
  if (list !== undefined) return list;
  throw new PermanentError('JOB_INVALID', `${JSON.stringify(source.name)} is not a list of images.`, {
    hint: 'Enqueue the images again with `npm run enqueue`, which writes a valid list.',
  });
}

/** Returns the number of images; undefined if the job has been split again meanwhile. */
export async function splitImages(
  services: SplitImagesServices,
  run: JobRun,
  { definition }: LedgerJob,
  signal: AbortSignal,
): Promise<number | undefined> {
  const { blobs, ledger, metrics } = services;
  const { request, model } = definition;
  const { images, megapixels: megapixelsPerFrame } = await readImageList(blobs, request);
  const earlier = await readSourcePlan(blobs, run);
  const { batchFrames } =
    earlier ??
    planBatchSizes({
      framesExpected: images.length,
      megapixelsPerFrame,
      megapixelsPerSecond: await ledger.rate(model.name),
      requested: request.batchSize,
    });
  const pieces = { kind: 'images', frameCount: images.length } as const;
  const plan = {
    version: 1,
    pieceFormat: IMAGE_PIECES,
    pieces,
    picture: PICTURE,
    batchFrames,
    segmentFrames: 1,
  } as const;
  const onlyIfAbsent = earlier === undefined;
  // Another producer was faster: its plan holds.
  if ((await putSourcePlan(blobs, run, plan, { onlyIfAbsent })) === 'exists')
    throw new TransientError('STORAGE_UNAVAILABLE', 'Another producer splits this job.');
  const sizes = { framesExpected: images.length, megapixelsPerFrame, batchSize: batchFrames };
  if (!(await ledger.planSplit(run, sizes))) return undefined;
  const limit = pLimit(COPIES_AT_ONCE);
  for (let start = 0; start < images.length; start += COPIES_PER_REPORT) {
    signal.throwIfAborted();
    const some = images.slice(start, start + COPIES_PER_REPORT);
    await limit.map(some, async ({ name, blobName, etag }, index) => {
      const target = pieceBlob(run, start + index, IMAGE_PIECES);
      const from = { container: 'incoming', name: blobName, etag } as const;
      if (!(await copyImage(services, from, { container: 'pieces', name: target }, signal)))
        throw sourceChanged(name);
    });
    if (!(await ledger.recordSplit(run, start + some.length))) return undefined;
    metrics.framesSplit.inc(some.length);
  }
  return images.length;
}

function sourceChanged(name: string): PermanentError {
  return new PermanentError('SOURCE_CHANGED', `${JSON.stringify(name)} changed after it was enqueued.`, {
    hint: 'Enqueue the images again, and do not change the uploaded files until the job has ended.',
  });
}
