/**
 * Keeps a finished result that cannot be written to its path. A permanent fleet has the result in its storage. A private fleet, which
 * is removed with the command, first copies it to the local folder, else to the system's temporary folder. If there is no space for
 * a copy, the fleet leaves its storage behind.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import type { OwnFleet } from '../../../shared/command/own-fleet.ts';
import { PermanentError } from '../../../shared/runtime/errors.ts';
import { keptFolder } from '../kept-folder.ts';
import { type StoredResult, saveOutput } from '../save-output.ts';

export interface UnsavedResult {
  readonly refusal: PermanentError;
  readonly stored: StoredResult;
  /** In the container `results`: `<jobId>/holiday.mp4`. */
  readonly blobName: string;
  /** The intended file name. */
  readonly fileName: string;
  readonly ownFleet: OwnFleet | null;
  readonly localFolder: string;
  readonly signal: AbortSignal;
}

/** Returns the error to throw: the refusal, with the place where the result is now. */
export async function keepResult(unsaved: UnsavedResult): Promise<PermanentError> {
  const { stored, blobName, ownFleet, localFolder } = unsaved;
  const fetchCommand = `npm run fetch -- ${stored.jobId} --out PATH`;
  if (ownFleet === null) {
    const kept = `results/${blobName}`;
    return keptAt(
      unsaved,
      kept,
      `It is in the storage of the fleet: ${kept}`,
      `Fetch it with: ${fetchCommand}`,
    );
  }
  const folder = keptFolder(localFolder, stored.jobId);
  const inLocalFolder = await tryFolder(unsaved, async () => {
    await mkdir(folder, { recursive: true });
    return folder;
  });
  if (inLocalFolder !== undefined) {
    const hint = `Move it from there, or fetch it with: ${fetchCommand}`;
    return keptAt(unsaved, inLocalFolder, `It is saved as ${inLocalFolder}`, hint);
  }
  const inTemporary = await tryFolder(unsaved, () => mkdtemp(path.join(tmpdir(), 'framefleet-kept-')));
  if (inTemporary !== undefined) {
    const hint = 'Move it from there soon: the system can delete temporary files.';
    return keptAt(unsaved, inTemporary, `It is saved as ${inTemporary}`, hint);
  }
  if (await ownFleet.keepStorage(folder)) {
    const hint = `When there is enough space, fetch it with: ${fetchCommand}`;
    return keptAt(unsaved, folder, `It is in the storage of its fleet, which is kept in ${folder}`, hint);
  }
  return new PermanentError(
    'OUTPUT_NOT_WRITABLE',
    `${unsaved.refusal.message} It could not be kept in another folder either.`,
    { hint: 'Free disk space, then run the command again.', cause: unsaved.refusal },
  );
}

/** The same for a folder of images, which stays in storage. */
export async function keepFolder(
  unsaved: Pick<UnsavedResult, 'refusal' | 'ownFleet' | 'localFolder'> & { readonly jobId: string },
): Promise<PermanentError> {
  const { refusal, jobId, ownFleet, localFolder } = unsaved;
  const hint = `Fetch them with: npm run fetch -- ${jobId} --out PATH`;
  if (ownFleet === null) return keptAt(unsaved, jobId, 'The images are in the storage of the fleet.', hint);
  const folder = keptFolder(localFolder, jobId);
  if (await ownFleet.keepStorage(folder))
    return keptAt(
      unsaved,
      folder,
      `The images are in the storage of their fleet, which is kept in ${folder}`,
      hint,
    );
  return new PermanentError(
    'OUTPUT_NOT_WRITABLE',
    `${refusal.message} The images could not be kept either.`,
    {
      hint: 'Free disk space, then run the command again.',
      cause: refusal,
    },
  );
}

function keptAt(
  { refusal }: Pick<UnsavedResult, 'refusal'>,
  kept: string,
  where: string,
  hint: string,
): PermanentError {
  return new PermanentError('OUTPUT_NOT_WRITABLE', `${refusal.message}\nThe result is not lost. ${where}`, {
    hint,
    kept,
    cause: refusal,
  });
}

/** Returns the path of the kept file; undefined if it cannot be written to this folder. */
async function tryFolder(
  { stored, fileName, signal }: UnsavedResult,
  makeFolder: () => Promise<string>,
): Promise<string | undefined> {
  let folder: string | undefined;
  try {
    folder = await makeFolder();
    const filePath = path.join(folder, fileName);
    await saveOutput(stored, { path: filePath, mayReplace: true }, signal);
    return filePath;
  } catch {
    signal.throwIfAborted();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true }).catch(() => undefined);
    return undefined;
  }
}
