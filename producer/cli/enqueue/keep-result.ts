/**
 * Keeps a finished result that cannot be written where it should go. A fleet that stays has it in its storage. One that is
 * removed when the command ends gives it up before: to a file in the local folder, else to one in the system's temporary folder;
 * where there is no room for a second copy, the fleet leaves its storage behind.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { PermanentError } from '../../../shared/runtime/errors.ts';
import { keptFolder } from '../kept-folder.ts';
import type { OwnFleet } from '../own-fleet.ts';
import { type StoredResult, saveOutput } from '../save-output.ts';

export interface Keeping {
  readonly refusal: PermanentError;
  readonly stored: StoredResult;
  /** As in storage: `<jobId>/holiday.mp4`. */
  readonly blobName: string;
  /** The name that it should have had. */
  readonly fileName: string;
  readonly ownFleet: OwnFleet | null;
  readonly localFolder: string;
  readonly signal: AbortSignal;
}

/** The refusal, and where the result is now. */
export async function keepResult(keeping: Keeping): Promise<PermanentError> {
  const { stored, blobName, ownFleet, localFolder } = keeping;
  const fetchAgain = `npm run fetch -- ${stored.jobId} --out PATH`;
  if (ownFleet === null) {
    const kept = `results/${blobName}`;
    return keptAt(
      keeping,
      kept,
      `The fleet keeps it in its storage: ${kept}`,
      `Fetch it with: ${fetchAgain}`,
    );
  }
  const folder = keptFolder(localFolder, stored.jobId);
  const inLocalFolder = await tryFolder(keeping, async () => {
    await mkdir(folder, { recursive: true });
    return folder;
  });
  if (inLocalFolder !== undefined) {
    const how = `Move it from there, or fetch it with: ${fetchAgain}`;
    return keptAt(keeping, inLocalFolder, `It is kept: ${inLocalFolder}`, how);
  }
  const inTemporary = await tryFolder(keeping, () => mkdtemp(path.join(tmpdir(), 'framefleet-kept-')));
  if (inTemporary !== undefined) {
    const how = 'Move it from there soon: the system may empty its temporary folder.';
    return keptAt(keeping, inTemporary, `It is kept: ${inTemporary}`, how);
  }
  if (await ownFleet.keepStorage(folder)) {
    const how = `When there is room, fetch it with: ${fetchAgain}`;
    return keptAt(keeping, folder, `The storage of the fleet is kept with it: ${folder}`, how);
  }
  return new PermanentError(
    'OUTPUT_NOT_WRITABLE',
    `${keeping.refusal.message} It could not be kept anywhere else.`,
    { hint: 'Make room, and run the command again.', cause: keeping.refusal },
  );
}

function keptAt({ refusal }: Keeping, kept: string, where: string, hint: string): PermanentError {
  return new PermanentError('OUTPUT_NOT_WRITABLE', `${refusal.message}\nThe result is not lost. ${where}`, {
    hint,
    kept,
    cause: refusal,
  });
}

/** The path of the kept file; undefined where it cannot be written to this folder. */
async function tryFolder(
  { stored, fileName, signal }: Keeping,
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
