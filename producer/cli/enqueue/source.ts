/** What `npm run enqueue` was given: a video, a still image, or many: in a folder, or in storage. */
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';

import type { BlobStore } from '../../../shared/azure/blob-store.ts';
import { DROP_PREFIX, leafOf } from '../../../shared/contract/blob-names.ts';
import type { ImageList } from '../../../shared/contract/image-list.ts';
import { IMAGE_NAME_BYTES_MAX } from '../../../shared/contract/limits.ts';
import { type SourceLimits, checkLimits, probeVideo } from '../../../shared/media/probe.ts';
import type { VideoInfo } from '../../../shared/media/video-info.ts';
import { PermanentError } from '../../../shared/runtime/errors.ts';
import { checkedMegapixels, isImageName, refuseOtherImage } from '../../control/image-files.ts';
import { megapixelsOf } from '../../media/contact-sheet.ts';

/** Images whose size is read for the estimate. */
const SAMPLE_MAX = 64;
/** The same for images in storage, which are downloaded for it. */
const STORED_SAMPLE_MAX = 4;

interface ImageFileToUpload {
  readonly path: string;
  /** With slashes, relative to the folder. */
  readonly name: string;
  readonly sizeBytes: number;
}

export interface SkippedFile {
  readonly name: string;
  readonly reason: string;
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
      readonly skipped: readonly SkippedFile[];
    };

/**
 * Throws the errors of `probeVideo` and `checkLimits`; SOURCE_EMPTY for a folder without images and an empty file; SOURCE_NOT_IMAGE and
 * SOURCE_TOO_LARGE for a single image.
 */
export async function openSource(sourcePath: string, limits: SourceLimits): Promise<Source> {
  const found = await stat(sourcePath).catch(() => undefined);
  if (found?.isDirectory() === true) return openFolder(sourcePath);
  if (found?.isFile() === true) refuseOtherImage(path.basename(sourcePath));
  if (found?.isFile() === true && isImageName(sourcePath)) return openImageFile(sourcePath, found.size);
  const video = await probeVideo(sourcePath);
  checkLimits(video, limits);
  return { kind: 'video', path: sourcePath, video };
}

async function openImageFile(filePath: string, sizeBytes: number): Promise<Source> {
  const name = path.basename(filePath);
  const megapixels = checkedMegapixels(name, sizeBytes, await megapixelsOf(filePath));
  const images = [{ path: filePath, name, sizeBytes }];
  return { kind: 'images', images, isFolder: false, megapixels, sizeBytes, skipped: [] };
}

async function openFolder(folder: string): Promise<Source> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.'))
    .map((entry) => path.join(entry.parentPath, entry.name))
    .toSorted();
  const images: ImageFileToUpload[] = [];
  const skipped: SkippedFile[] = [];
  for (const filePath of paths) {
    const name = path.relative(folder, filePath).split(path.sep).join('/');
    // Follows a symbolic link to a file.
    const found = await stat(filePath).catch(() => undefined);
    const reason = reasonToSkip(name, found);
    if (reason !== undefined) skipped.push({ name, reason });
    else images.push({ path: filePath, name, sizeBytes: found?.size ?? 0 });
  }
  if (images.length > 0)
    return {
      kind: 'images',
      images,
      isFolder: true,
      megapixels: await meanMegapixels(images),
      sizeBytes: images.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      skipped,
    };
  throw new PermanentError('SOURCE_EMPTY', `There is no image in the folder ${folder}.`, {
    hint: 'Pass a video, an image, or a folder with JPEG, PNG, WebP, TIFF or AVIF files.',
  });
}

function reasonToSkip(name: string, found: Awaited<ReturnType<typeof stat>> | undefined): string | undefined {
  // Node decodes what is not UTF-8 to this character, and then cannot find the file.
  if (found === undefined) return name.includes('\uFFFD') ? 'its name is not UTF-8' : 'it cannot be read';
  if (found.isDirectory()) return 'it is a link to a folder';
  if (!found.isFile()) return 'it is not a regular file';
  if (!isImageName(name)) return 'it is not a supported image';
  if (Buffer.byteLength(name) > IMAGE_NAME_BYTES_MAX) return 'its path is too long';
  return undefined;
}

async function meanMegapixels(images: readonly ImageFileToUpload[]): Promise<number> {
  const every = Math.ceil(images.length / SAMPLE_MAX);
  const sample = images.filter((_, index) => index % every === 0);
  return mean(await Promise.all(sample.map((image) => megapixelsOf(image.path))));
}

/**
 * The images in a folder of `incoming`, without those of jobs and of the drop folder. `given` is the name of the folder or of an image; or
 * with a star at the end, how the names start. Throws SOURCE_EMPTY.
 */
export async function listStoredImages(
  blobs: BlobStore,
  given: string,
  signal: AbortSignal,
): Promise<Pick<ImageList, 'images' | 'megapixels'>> {
  const prefix = given.replace(/\*$/, '');
  const isInside = (name: string): boolean =>
    given.endsWith('*') || prefix === '' || name === prefix || name.startsWith(prefix.replace(/\/?$/, '/'));
  const images: ImageList['images'] = [];
  for await (const { name, etag } of blobs.list('incoming', { prefix, signal }))
    if (isImageName(name) && isInside(name) && !name.startsWith(DROP_PREFIX))
      images.push({ name: nameBelow(given, name), blobName: name, etag });
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

/** A blob's name, relative to the folder that was given. */
function nameBelow(given: string, blobName: string): string {
  if (blobName === given) return leafOf(blobName);
  const folder = given.endsWith('*')
    ? given.slice(0, given.lastIndexOf('/') + 1)
    : given.replace(/([^/])$/, '$1/');
  return blobName.slice(folder.length);
}

function mean(sizes: readonly (number | undefined)[]): number {
  const known = sizes.filter((megapixels) => megapixels !== undefined);
  return known.reduce((sum, one) => sum + one, 0) / known.length || 1;
}
