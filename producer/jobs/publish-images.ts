/** Publishes the results of a job of still images under the names of the images. Storage copies them by itself. */
import { createHash } from 'node:crypto';
import path from 'node:path';

import pLimit from 'p-limit';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import {
  framesOfSegment,
  imagesPrefix,
  resultImageBlob,
  splitPrefix,
} from '../../shared/contract/blob-names.ts';
import type { ImageList } from '../../shared/contract/image-list.ts';
import { type StoredImage, storedImageOf } from '../../shared/contract/segment.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import { TransientError } from '../../shared/runtime/errors.ts';
import { copyImage } from './copy-image.ts';
import type { JobRun } from './steps.ts';

const COPIES_AT_ONCE = 16;
/** Endings that mean the same format. */
const ENDINGS: Readonly<Record<string, readonly string[]>> = {
  jpeg: ['.jpg', '.jpeg', '.jpe', '.jfif'],
  tiff: ['.tif', '.tiff'],
  png: ['.png'],
  webp: ['.webp'],
  avif: ['.avif'],
};

export interface PublishedImages {
  /** A folder: it ends with a slash. */
  readonly blobName: string;
  readonly sizeBytes: number;
  /** Of a line for each image, with its hash and its name, as `sha256sum` prints it. */
  readonly sha256: string;
}

/** Throws STORAGE_UNAVAILABLE if an image has no result. `onPublished` is called with the number of images published so far. */
export async function publishImages(
  services: { readonly blobs: BlobStore; readonly clock: Clock },
  run: JobRun,
  { images }: ImageList,
  { onPublished, signal }: { readonly onPublished: (count: number) => void; readonly signal: AbortSignal },
): Promise<PublishedImages> {
  const { blobs } = services;
  const { jobId } = run;
  const earlier = await earlierResults(blobs, jobId);
  const limit = pLimit(COPIES_AT_ONCE);
  const copies: Promise<void>[] = [];
  const hashes = new Map<string, string>();
  let sizeBytes = 0;
  let published = 0;
  const found = new Set<number>();
  for await (const blob of blobs.list('scored', { prefix: splitPrefix(run), withMetadata: true })) {
    const index = framesOfSegment(blob.name)?.[0];
    const image = index === undefined ? undefined : images[index];
    if (index === undefined || image === undefined) continue;
    found.add(index);
    sizeBytes += blob.sizeBytes;
    const stored = storedImageOf(blob.metadata);
    const target = uniqueName(resultImageBlob(jobId, resultName(image.name, stored)), index, hashes);
    hashes.set(target, stored.sha256);
    const copy = limit(async () => {
      const there = earlier.get(target);
      // A retried image replaces its earlier result.
      if (there !== undefined && there !== stored.sha256) await blobs.remove('results', target);
      const from = { container: 'scored', name: blob.name, etag: blob.etag } as const;
      if (!(await copyImage(services, from, { container: 'results', name: target }, signal)))
        throw new TransientError(
          'STORAGE_UNAVAILABLE',
          `The result ${blob.name} changed while it was published.`,
        );
      published += 1;
      onPublished(published);
    });
    copy.catch(() => undefined); // Awaited at the end.
    copies.push(copy);
  }
  await Promise.all(copies);
  const missing = images.findIndex((_, index) => !found.has(index));
  if (missing !== -1)
    throw new TransientError(
      'STORAGE_UNAVAILABLE',
      `Not all results are in storage: there is none of ${JSON.stringify(images[missing]?.name)}.`,
      {
        hint: 'See the poison queue for batches that could not be processed: npm run poison list',
      },
    );
  const prefix = imagesPrefix(jobId);
  const lines = [...hashes].map(([name, sha256]) => `${sha256}  ${name.slice(prefix.length)}\n`).toSorted();
  return { blobName: prefix, sizeBytes, sha256: createHash('sha256').update(lines.join('')).digest('hex') };
}

/** The hashes of the results that an earlier run has published, by name. */
async function earlierResults(blobs: BlobStore, jobId: string): Promise<ReadonlyMap<string, string>> {
  const hashes = new Map<string, string>();
  for await (const { name, metadata } of blobs.list('results', {
    prefix: imagesPrefix(jobId),
    withMetadata: true,
  }))
    hashes.set(name, storedImageOf(metadata).sha256);
  return hashes;
}

/** The name of the image, with the ending of the format that the result has. */
function resultName(name: string, { format }: StoredImage): string {
  const { dir, name: stem, ext } = path.posix.parse(name);
  const endings = ENDINGS[format ?? ''];
  if (endings === undefined || endings.includes(ext.toLowerCase())) return name;
  return path.posix.join(dir, `${stem}${endings[0]}`);
}

/** Two images may differ only by characters that names in storage cannot have, or by an ending that was wrong. */
function uniqueName(blobName: string, index: number, taken: ReadonlyMap<string, string>): string {
  if (!taken.has(blobName)) return blobName;
  const { dir, name, ext } = path.posix.parse(blobName);
  return path.posix.join(dir, `${name}-${index}${ext}`);
}
