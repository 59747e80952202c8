/** Writes the results of still images to a folder, under the names that they have in storage. */
import { mkdir, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';

import pLimit from 'p-limit';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { RESULT_CONTAINERS } from '../../shared/contract/encoding.ts';
import { imageFormatOf } from '../../shared/contract/image-list.ts';
import { PermanentError, errnoOf } from '../../shared/runtime/errors.ts';
import type { OutputRequest } from './output-path.ts';
import { isFileSystemError, outputRefused } from './output-refused.ts';

const DOWNLOADS_AT_ONCE = 8;
/** Of names that are meant for files, besides those of images. */
const FILE_ENDINGS = new Set<string>(
  [...RESULT_CONTAINERS, 'ndjson', 'json', 'zip'].map((ending) => `.${ending}`),
);

/** Returns the folder `<stem>.<label>`, or what the user asked for. Throws OUTPUT_NOT_WRITABLE or USAGE. */
export async function planFolder(
  request: Pick<
    OutputRequest,
    'sourcePath' | 'outputPath' | 'defaultFolder' | 'stem' | 'label' | 'mayReplace'
  >,
): Promise<string> {
  const { sourcePath, outputPath, defaultFolder, stem, label, mayReplace } = request;
  const folder = outputPath ?? path.join(defaultFolder, `${stem}.${label}`);
  if (sourcePath !== undefined && folder.startsWith(sourcePath + path.sep))
    throw outputRefused(
      folder,
      'it is in the folder of the images, so the results would be images of the next job',
    );
  if (isFileName(folder) && !(await isFolder(folder)))
    throw new PermanentError(
      'USAGE',
      `The result will be a folder of images, but --out is ${path.basename(folder)}.`,
      { hint: 'Pass the name of a folder.' },
    );
  try {
    const entries = await readdir(folder);
    if (sourcePath !== undefined && (await realpath(folder)) === (await realpath(sourcePath)))
      throw outputRefused(folder, 'it is the source itself');
    if (entries.length > 0 && !mayReplace)
      throw outputRefused(
        folder,
        'the folder is not empty',
        'Add --force to add to it and replace files in it, or choose another folder with --out PATH.',
      );
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') await tryFolder(folder);
    else throw isFileSystemError(error) ? outputRefused(folder, error) : error;
  }
  return folder;
}

function isFileName(name: string): boolean {
  const ending = path.extname(name).toLowerCase();
  return FILE_ENDINGS.has(ending) || imageFormatOf(ending) !== undefined;
}

async function isFolder(name: string): Promise<boolean> {
  return (await stat(name).catch(() => undefined))?.isDirectory() === true;
}

/** Creates and removes it. */
async function tryFolder(folder: string): Promise<void> {
  try {
    const first = await mkdir(folder, { recursive: true });
    if (first !== undefined) await rm(first, { recursive: true });
  } catch (error) {
    throw isFileSystemError(error) ? outputRefused(folder, error) : error;
  }
}

/** Each file is written completely or not at all. Returns how many there are. Throws OUTPUT_NOT_WRITABLE. */
export async function saveImages(
  blobs: BlobStore,
  prefix: string,
  folder: string,
  signal: AbortSignal,
): Promise<number> {
  const limit = pLimit(DOWNLOADS_AT_ONCE);
  const downloads: Promise<void>[] = [];
  const target = (name: string): string => {
    const parts = name.slice(prefix.length).split('/');
    if (parts.includes('..')) throw outputRefused(folder, `the name ${JSON.stringify(name)} leads out of it`);
    return path.join(folder, ...parts);
  };
  try {
    for await (const { name } of blobs.list('results', { prefix, signal })) {
      const download = limit(async () => {
        const file = target(name);
        const partial = path.join(path.dirname(file), `.${path.basename(file)}.part`);
        await mkdir(path.dirname(file), { recursive: true });
        try {
          await blobs.getFile('results', name, partial, { signal });
          await rename(partial, file);
        } finally {
          await rm(partial, { force: true });
        }
      });
      download.catch(() => undefined); // Awaited at the end.
      downloads.push(download);
    }
    await Promise.all(downloads);
    return downloads.length;
  } catch (error) {
    throw isFileSystemError(error) ? outputRefused(folder, error) : error;
  }
}
