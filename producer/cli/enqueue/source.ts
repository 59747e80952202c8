/** What `npm run enqueue` was given: a video, a still image, or many: in a folder, or in storage. */
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';

import type { BlobStore } from '../../../shared/azure/blob-store.ts';
import { DROP_PREFIX } from '../../../shared/contract/blob-names.ts';
import type { ImageList } from '../../../shared/contract/image-list.ts';
import { type SourceLimits, checkLimits, probeVideo } from '../../../shared/media/probe.ts';
import type { VideoInfo } from '../../../shared/media/video-info.ts';
import { PermanentError } from '../../../shared/runtime/errors.ts';
import { megapixelsOf } from '../../media/contact-sheet.ts';

const IMAGE_ENDINGS = new Set(['.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.webp', '.tif', '.tiff', '.avif']);
/** Images whose size is read for the estimate. */
const SAMPLE_MAX = 64;
/** The same for images in storage, which are downloaded for it. */
const STORED_SAMPLE_MAX = 4;

interface ImageFileToUpload {
  readonly path: string;
  /** With slashes, relative to the folder. */
  readonly name: string;
}

export type Source =
  | { readonly kind: 'video'; readonly path: string; readonly video: VideoInfo }
  /** Images that are in the container `incoming` already. */
  | { readonly kind: 'stored-images'; readonly prefix: string }
  | {
      readonly kind: 'images';
      readonly images: readonly ImageFileToUpload[];
      /** False for a single image. */
      readonly isFolder: boolean;
      readonly megapixels: number;
      readonly sizeBytes: number;
      /** Names of files that are no images. */
      readonly skipped: readonly string[];
    };

/** Throws the errors of `probeVideo` and `checkLimits`, and SOURCE_EMPTY for a folder without images. */
export async function openSource(sourcePath: string, limits: SourceLimits): Promise<Source> {
  const found = await stat(sourcePath).catch(() => undefined);
  if (found?.isDirectory() === true) return openFolder(sourcePath);
  if (found?.isFile() === true && isImageName(sourcePath)) {
    const images = [{ path: sourcePath, name: path.basename(sourcePath) }];
    return describe(images, { isFolder: false, skipped: [] });
  }
  const video = await probeVideo(sourcePath);
  checkLimits(video, limits);
  return { kind: 'video', path: sourcePath, video };
}

async function openFolder(folder: string): Promise<Source> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => path.join(entry.parentPath, entry.name))
    .toSorted()
    .map((file) => ({ path: file, name: path.relative(folder, file).split(path.sep).join('/') }));
  const images = files.filter(({ name }) => isImageName(name));
  const skipped = files.filter(({ name }) => !isImageName(name)).map(({ name }) => name);
  if (images.length > 0) return describe(images, { isFolder: true, skipped });
  throw new PermanentError('SOURCE_EMPTY', `There is no image in the folder ${folder}.`, {
    hint: 'Pass a video, an image, or a folder with JPEG, PNG, WebP, TIFF or AVIF files.',
  });
}

/** The images below a prefix of `incoming`, without those of jobs and of the drop folder. Throws SOURCE_EMPTY. */
export async function listStoredImages(
  blobs: BlobStore,
  prefix: string,
  signal: AbortSignal,
): Promise<Pick<ImageList, 'images' | 'megapixels'>> {
  const images: ImageList['images'] = [];
  for await (const { name, etag } of blobs.list('incoming', { prefix, signal }))
    if (isImageName(name) && !name.startsWith(DROP_PREFIX))
      images.push({ name: name.slice(prefix.lastIndexOf('/') + 1), blobName: name, etag });
  if (images.length === 0)
    throw new PermanentError('SOURCE_EMPTY', `There is no image below incoming/${prefix}.`, {
      hint: 'Upload JPEG, PNG, WebP, TIFF or AVIF files to the container incoming first.',
    });
  const sample = images.slice(0, STORED_SAMPLE_MAX);
  const sizes = await Promise.all(
    sample.map(async ({ blobName }) => {
      const bytes = await blobs.get('incoming', blobName, { signal });
      return bytes && megapixelsOf(bytes);
    }),
  );
  return { images, megapixels: mean(sizes) };
}

function mean(sizes: readonly (number | undefined)[]): number {
  const known = sizes.filter((megapixels) => megapixels !== undefined);
  return known.reduce((sum, one) => sum + one, 0) / known.length || 1;
}

function isImageName(name: string): boolean {
  return IMAGE_ENDINGS.has(path.extname(name).toLowerCase());
}

async function describe(
  images: readonly ImageFileToUpload[],
  more: { readonly isFolder: boolean; readonly skipped: readonly string[] },
): Promise<Source> {
  const sizes = await Promise.all(images.map(async (image) => (await stat(image.path)).size));
  const every = Math.ceil(images.length / SAMPLE_MAX);
  const sample = images.filter((_, index) => index % every === 0);
  const known = await Promise.all(sample.map((image) => megapixelsOf(image.path)));
  if (known[0] === undefined && images.length === 1)
    throw new PermanentError('SOURCE_UNREADABLE', `Cannot read ${images[0]?.path}: it is not an image.`, {
      hint: 'Pass a JPEG, PNG, WebP, TIFF or AVIF file.',
    });
  return {
    kind: 'images',
    images,
    megapixels: mean(known),
    sizeBytes: sizes.reduce((sum, size) => sum + size, 0),
    ...more,
  };
}
