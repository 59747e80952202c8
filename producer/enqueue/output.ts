/** Where the result goes: decided and tried at the door, so that an hour of work does not end in "permission denied". */
import { constants } from 'node:fs';
import { access, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import type { ResultContainer } from '../../shared/media/video-info.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';

export interface OutputWish {
  readonly sourcePath: string;
  /** As typed, made absolute; a file or an existing folder. */
  readonly outputPath: string | undefined;
  /** Goes into the default name: `video.starry-night.mp4`. */
  readonly label: string;
  readonly container: ResultContainer;
}

/** The path of the result. Throws OUTPUT_NOT_WRITABLE or USAGE. */
export async function planOutput({ sourcePath, outputPath, label, container }: OutputWish): Promise<string> {
  const defaultName = `${path.parse(sourcePath).name}.${label}.${container}`;
  const chosen =
    outputPath === undefined
      ? path.join(path.dirname(sourcePath), defaultName)
      : (await isFolder(outputPath))
        ? path.join(outputPath, defaultName)
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
  if (path.resolve(chosen) === path.resolve(sourcePath) || (await isFolder(chosen))) {
    throw new PermanentError(
      'OUTPUT_NOT_WRITABLE',
      `The result cannot be written to ${chosen}: that is ${(await isFolder(chosen)) ? 'a folder' : 'the source itself'}.`,
      {
        hint: 'Choose another place with -- --out PATH.',
      },
    );
  }
  try {
    await access(path.dirname(chosen), constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new PermanentError(
      'OUTPUT_NOT_WRITABLE',
      `The result cannot be written to ${path.dirname(chosen)}: the folder is not there or not writable.`,
      {
        hint: 'Choose another place with -- --out PATH.',
        cause,
      },
    );
  }
  return chosen;
}

/** Downloads under another name first: what stands under the right name is whole. */
export async function download({
  blobs,
  blobName,
  outputPath,
  signal,
}: {
  readonly blobs: BlobStore;
  readonly blobName: string;
  readonly outputPath: string;
  readonly signal: AbortSignal;
}): Promise<void> {
  const partial = `${outputPath}.part`;
  try {
    await blobs.getFile('results', blobName, partial, { signal });
    await rename(partial, outputPath);
  } finally {
    await rm(partial, { force: true });
  }
}

async function isFolder(filePath: string): Promise<boolean> {
  const found = await stat(filePath).catch(() => undefined);
  return found?.isDirectory() === true;
}
