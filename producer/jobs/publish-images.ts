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
import { IMAGE_ENDINGS, type ImageList } from '../../shared/contract/image-list.ts';
import { type StoredImage, storedImageOf } from '../../shared/contract/segment.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import { TransientError } from '../../shared/runtime/errors.ts';
import { listText } from '../../shared/runtime/list-text.ts';
import { copyImage } from './copy-image.ts';
import type { JobRun } from './steps.ts';

const COPIES_AT_ONCE = 16;
const NAMES_SHOWN = 5;
export interface PublishedImages {
  /** A folder: it ends with a slash. */
  readonly blobName: string;
  readonly sizeBytes: number;
  /** Of a line for each image, with its hash and its name, as `sha256sum` prints it. */
  readonly sha256: string;
  /** Sentences about results that are not what a user may expect. */
  readonly warnings: readonly string[];
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
  const scored = await scoredImages(blobs, run, images.length);
  const missing = images.findIndex((_, index) => scored[index] === undefined);
  if (missing !== -1)
    throw new TransientError(
      'STORAGE_UNAVAILABLE',
      `Not all results are in storage: there is none of ${JSON.stringify(images[missing]?.name)}.`,
      {
        hint: 'See the poison queue for batches that could not be processed: npm run poison list',
      },
    );
  const names = resultNames(
    images.map(({ name }, index) => ({ name, format: scored[index]?.stored.format })),
    (name) => resultImageBlob(jobId, name),
  );
  let published = 0;
  await pLimit(COPIES_AT_ONCE).map(scored, async ({ name, etag, stored }, index) => {
    const target = names[index] ?? '';
    const there = earlier.get(target);
    // A retried image replaces its earlier result.
    if (there !== undefined && there !== stored.sha256) await blobs.remove('results', target);
    const from = { container: 'scored', name, etag } as const;
    if (!(await copyImage(services, from, { container: 'results', name: target }, signal)))
      throw new TransientError('STORAGE_UNAVAILABLE', `The result ${name} changed while it was published.`);
    published += 1;
    onPublished(published);
  });
  const prefix = imagesPrefix(jobId);
  const shown = names.map((name) => name.slice(prefix.length));
  const lines = scored.map(({ stored }, index) => `${stored.sha256}  ${shown[index]}\n`).toSorted();
  return {
    blobName: prefix,
    sizeBytes: scored.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    sha256: createHash('sha256').update(lines.join('')).digest('hex'),
    warnings: [
      ...about(
        images.flatMap(({ name }, index) => (name === shown[index] ? [] : [`${name} as ${shown[index]}`])),
        'Results with another name than their image, which has a name that storage or the format does not allow',
      ),
      ...about(
        images.flatMap(({ name }, index) => ((scored[index]?.stored.pages ?? 1) > 1 ? [name] : [])),
        'Images with several pages or an animation, of which only the first picture was used',
      ),
    ],
  };
}

/** A sentence with the first of these names; nothing if there are none. */
function about(names: readonly string[], what: string): string[] {
  return names.length === 0 ? [] : [`${what}: ${listText(names, NAMES_SHOWN)}.`];
}

interface ScoredImage {
  readonly name: string;
  readonly etag: string;
  readonly sizeBytes: number;
  readonly stored: StoredImage;
}

/** By the index of the image. An image without a result leaves a gap. */
async function scoredImages(blobs: BlobStore, run: JobRun, imageCount: number): Promise<ScoredImage[]> {
  const scored: ScoredImage[] = [];
  for await (const { name, etag, sizeBytes, metadata } of blobs.list('scored', {
    prefix: splitPrefix(run),
    withMetadata: true,
  })) {
    const index = framesOfSegment(name)?.[0];
    if (index === undefined || index >= imageCount) continue;
    scored[index] = { name, etag, sizeBytes, stored: storedImageOf(metadata) };
  }
  return scored;
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

interface ImageToName {
  readonly name: string;
  /** Of the result; undefined if the image could not be read. */
  readonly format: string | undefined;
}

/**
 * The blob names of the results, in the order of the images. A name that storage allows stays, and no two are the same: an image whose
 * name has to change gets its index if the new name is taken.
 */
export function resultNames(
  images: readonly ImageToName[],
  toBlob: (name: string) => string,
): readonly string[] {
  const wanted = images.map((image) => {
    const name = withEnding(image);
    const blobName = toBlob(name);
    return { blobName, isOwn: name === image.name && blobName.endsWith(`/${name}`) };
  });
  const taken = new Set(wanted.filter(({ isOwn }) => isOwn).map(({ blobName }) => blobName));
  return wanted.map(({ blobName, isOwn }, index) => {
    if (isOwn) return blobName;
    const { dir, name, ext } = path.posix.parse(blobName);
    let free = blobName;
    for (let number = index; taken.has(free); number += images.length)
      free = path.posix.join(dir, `${name}-${number}${ext}`);
    taken.add(free);
    return free;
  });
}

/** The name of the image, with the ending of the format that the result has. */
function withEnding({ name, format }: ImageToName): string {
  const { dir, name: stem, ext } = path.posix.parse(name);
  const endings = IMAGE_ENDINGS[format ?? ''];
  if (endings === undefined || endings.includes(ext.toLowerCase())) return name;
  return path.posix.join(dir, `${stem}${endings[0]}`);
}
