/**
 * Where a result goes on this machine: decided and tried before the work begins, so that an hour of work does not end in "permission
 * denied", and written so that what stands under its name is whole. Nothing is overwritten unless that was asked for.
 */
import { constants } from 'node:fs';
import { access, link, rename, rm, stat, statfs } from 'node:fs/promises';
import path from 'node:path';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import type { ResultContainer } from '../../shared/media/video-info.ts';
import { PermanentError, describeError, errnoOf } from '../../shared/runtime/errors.ts';

/** Linux, macOS and Windows take names of this length, in bytes or characters, on all of their usual file systems. */
const NAME_BYTES_MAX = 255;
const PATH_BYTES_MAX = 4_096;
/** A download is written under this name first. */
const PARTIAL = '.part';

export interface OutputWish {
  /** What the default name is made of: the source's path, or its name in the folder where the result goes. */
  readonly sourcePath: string;
  /** As typed, made absolute; a file or an existing folder. */
  readonly outputPath: string | undefined;
  /** Goes into the default name: `video.starry-night.mp4`. */
  readonly label: string;
  readonly container: ResultContainer;
  /** Whether a file that is there already may be overwritten. */
  readonly mayOverwrite: boolean;
}

/** The path of the result. Throws OUTPUT_NOT_WRITABLE or USAGE. */
export async function planOutput(wish: OutputWish): Promise<string> {
  const { sourcePath, outputPath, container } = wish;
  const name = defaultName(wish);
  const chosen =
    outputPath === undefined
      ? path.join(path.dirname(sourcePath), name)
      : (await isFolder(outputPath))
        ? path.join(outputPath, name)
        : outputPath;
  if (path.extname(chosen).toLowerCase() !== `.${container}`) {
    throw new PermanentError(
      'USAGE',
      `The result will be a .${container} file, but --out names ${path.basename(chosen)}.`,
      {
        hint: `Give --out a name that ends in .${container}, or a folder.`,
      },
    );
  }
  const partial = `${chosen}${PARTIAL}`;
  if (
    Buffer.byteLength(path.basename(partial)) > NAME_BYTES_MAX ||
    Buffer.byteLength(partial) > PATH_BYTES_MAX
  ) {
    const short = path.basename(chosen).slice(0, 40);
    throw notWritable(`${short}…`, `its name is too long (at most ${NAME_BYTES_MAX - PARTIAL.length} bytes)`);
  }
  try {
    await access(path.dirname(chosen), constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw notWritable(path.dirname(chosen), 'the folder does not exist, or you may not write to it', cause);
  }
  await refuseExisting(chosen, wish);
  return chosen;
}

/** `video.starry-night.mp4`, with a shorter stem where that is too long for a file's name. */
function defaultName({ sourcePath, label, container }: OutputWish): string {
  const ending = `.${label}.${container}`;
  const characters = Array.from(path.parse(sourcePath).name);
  while (Buffer.byteLength(`${characters.join('')}${ending}${PARTIAL}`) > NAME_BYTES_MAX) characters.pop();
  return `${characters.join('')}${ending}`;
}

async function refuseExisting(chosen: string, { sourcePath, mayOverwrite }: OutputWish): Promise<void> {
  const [found, source] = await Promise.all([statOf(chosen), statOf(sourcePath)]);
  if (found === undefined) return;
  if (found.isDirectory()) throw notWritable(chosen, 'that is a folder');
  if (found.ino === source?.ino && found.dev === source.dev)
    throw notWritable(chosen, 'that is the source itself');
  if (!found.isFile()) throw notWritable(chosen, 'that is no ordinary file');
  if (!mayOverwrite) throw exists(chosen);
}

export interface Download {
  readonly blobs: BlobStore;
  /** In `results`. */
  readonly blobName: string;
  readonly sizeBytes: number;
  readonly outputPath: string;
  readonly mayOverwrite: boolean;
  readonly signal: AbortSignal;
}

/** Downloads under another name first: what stands under the right name is whole. Throws OUTPUT_NOT_WRITABLE. */
export async function download(wanted: Download): Promise<void> {
  const { blobs, blobName, sizeBytes, outputPath, mayOverwrite, signal } = wanted;
  const partial = `${outputPath}${PARTIAL}`;
  try {
    const { bavail, bsize } = await statfs(path.dirname(outputPath));
    if (bavail * bsize < sizeBytes) {
      throw notWritable(
        outputPath,
        `the disk has ${megabytes(bavail * bsize)} left, and it takes ${megabytes(sizeBytes)}`,
      );
    }
    await blobs.getFile('results', blobName, partial, { signal });
    if (mayOverwrite) await rename(partial, outputPath);
    // Unlike a rename, a link never takes the place of a file that has come meanwhile.
    else await link(partial, outputPath);
  } catch (cause) {
    if (signal.aborted || !isOfTheDisk(cause)) throw cause;
    if (errnoOf(cause) === 'EEXIST') throw exists(outputPath, cause);
    throw notWritable(outputPath, REASONS[errnoOf(cause) ?? ''] ?? describeError(cause), cause);
  } finally {
    await rm(partial, { force: true }).catch(() => undefined);
  }
}

/** Of the errors of the file system, those that a person understands better in other words. */
const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'your quota on the disk is used up',
  ENOENT: 'the folder does not exist any more',
  ENOTDIR: 'the folder does not exist any more',
  EACCES: 'you may not write there',
  EPERM: 'you may not write there',
  EROFS: 'the disk is read-only',
  EFBIG: 'it is larger than a file may be there',
  EIO: 'the disk fails',
  ENAMETOOLONG: 'its name is too long',
};

/** Not of the network or of storage: those have codes of their own, as a text or a status. */
function isOfTheDisk(error: unknown): boolean {
  const errno = errnoOf(error) ?? '';
  return errno === 'EEXIST' || Object.hasOwn(REASONS, errno);
}

function notWritable(place: string, why: string, cause?: unknown): PermanentError {
  return new PermanentError('OUTPUT_NOT_WRITABLE', `The result cannot be written to ${place}: ${why}.`, {
    hint: 'Choose another place with --out PATH.',
    cause,
  });
}

function exists(chosen: string, cause?: unknown): PermanentError {
  return new PermanentError(
    'OUTPUT_NOT_WRITABLE',
    `The result cannot be written to ${chosen}: that file exists already.`,
    {
      hint: 'Add --force to overwrite it, or choose another place with --out PATH.',
      cause,
    },
  );
}

async function statOf(filePath: string) {
  return stat(filePath).catch(() => undefined);
}

async function isFolder(filePath: string): Promise<boolean> {
  return (await statOf(filePath))?.isDirectory() === true;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
