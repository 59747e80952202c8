/** Writes a result to its path: completely or not at all, and never over a file that appeared there during the job. */
import { constants } from 'node:fs';
import { copyFile, link, open, rename, rm, statfs } from 'node:fs/promises';
import path from 'node:path';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { bytesText } from '../../shared/command/text.ts';
import { errnoOf } from '../../shared/runtime/errors.ts';
import { type OutputPlan, outputExists, partialPath } from './output-path.ts';
import { isFileSystemError, outputRefused } from './output-refused.ts';

/** What `link` fails with on file systems without hard links. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL', 'EMLINK']);

/** A result in storage or in a file. */
export interface StoredResult {
  readonly jobId: string;
  readonly sizeBytes: number;
  copyTo(filePath: string, signal: AbortSignal): Promise<void>;
}

export function resultInStorage(
  blobs: BlobStore,
  jobId: string,
  { blobName, sizeBytes }: { readonly blobName: string; readonly sizeBytes: number },
): StoredResult {
  return {
    jobId,
    sizeBytes,
    copyTo: (filePath, signal) => blobs.getFile('results', blobName, filePath, { signal }),
  };
}

export function resultInFile(jobId: string, filePath: string, sizeBytes: number): StoredResult {
  return { jobId, sizeBytes, copyTo: (target) => copyFile(filePath, target, constants.COPYFILE_EXCL) };
}

/** Throws OUTPUT_NOT_WRITABLE. Storage errors are thrown unchanged. */
export async function saveOutput(
  stored: StoredResult,
  { path: outputPath, mayReplace }: OutputPlan,
  signal: AbortSignal,
): Promise<void> {
  const partial = partialPath(outputPath);
  try {
    await requireSpace(outputPath, stored.sizeBytes);
    await stored.copyTo(partial, signal);
    await flush(partial);
    if (mayReplace) await rename(partial, outputPath);
    else await renameToNew(partial, outputPath);
  } catch (error) {
    throw isFileSystemError(error) ? outputRefused(outputPath, error) : error;
  } finally {
    // This fails only if the folder was removed or became read-only.
    await rm(partial, { force: true }).catch(() => undefined);
  }
}

/** Throws OUTPUT_NOT_WRITABLE before the download if the disk is too full. */
async function requireSpace(outputPath: string, sizeBytes: number): Promise<void> {
  const { blocks, bavail, bfree, bsize } = await statfs(path.dirname(outputPath));
  // Some network file systems do not report their size.
  if (blocks === 0) return;
  const freeBytes = (process.getuid?.() === 0 ? bfree : bavail) * bsize;
  if (sizeBytes <= freeBytes) return;
  throw outputRefused(
    outputPath,
    `it needs ${bytesText(sizeBytes)}, but only ${bytesText(freeBytes)} are free on the device`,
  );
}

/** Some file systems report a full disk only here. */
async function flush(filePath: string): Promise<void> {
  await using file = await open(filePath, 'r+');
  await file.datasync();
}

/** `rename` would replace an existing file; `link` does not. */
async function renameToNew(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    const errno = errnoOf(error) ?? '';
    if (errno === 'EEXIST') throw outputExists(to);
    if (!NO_LINKS.has(errno)) throw error;
    await reserve(to);
    try {
      await rename(from, to);
    } catch (failure) {
      await rm(to, { force: true });
      throw failure;
    }
  }
}

async function reserve(filePath: string): Promise<void> {
  try {
    await using _file = await open(filePath, 'wx');
  } catch (error) {
    throw errnoOf(error) === 'EEXIST' ? outputExists(filePath) : error;
  }
}
