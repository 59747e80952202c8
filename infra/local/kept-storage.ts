/**
 * Storage without the rest of a fleet. That of a private fleet whose result could not be saved is kept: the folder of the emulator moves to a
 * place that the next start does not remove, and `npm run fetch` starts an emulator on it again. And one with the models of this machine, for
 * `npm run model`.
 */
import { mkdir, rename } from 'node:fs/promises';
import path from 'node:path';

import { openBlobStore } from '../../shared/azure/blob-store.ts';
import { PATIENT, storageAccount } from '../../shared/azure/credentials.ts';
import { publishModels } from '../../shared/azure/publish-models.ts';
import { startAzurite } from './azurite.ts';
import { type Stack, removeFolder } from './stack.ts';

type StorageAlone = Pick<Stack, 'clientEnvironment' | 'failure' | 'stop'>;

/** Moves the storage of a stopped stack to `keptFolder`, which exists, and removes the rest of the stack's folder. */
export async function moveStorage(stackFolder: string, keptFolder: string): Promise<void> {
  await rename(path.join(stackFolder, 'azurite'), path.join(keptFolder, 'azurite'));
  await removeFolder(stackFolder);
}

/** Starts only the storage. Throws STACK_FAILED. */
export async function startKeptStorage(keptFolder: string): Promise<StorageAlone> {
  const { part, media } = await startAzurite({
    folder: keptFolder,
    logPath: path.join(keptFolder, 'azurite.log'),
    isPersistent: true,
  });
  const failure = part.failure();
  failure.catch(() => undefined); // The caller handles it.
  return {
    clientEnvironment: { FRAMEFLEET_MEDIA_STORAGE: media },
    failure,
    stop: () => part.stop(),
  };
}

/** Starts storage in a new folder, and publishes the models. Throws STACK_FAILED or MODEL_INVALID. */
export async function startModelStorage(
  folder: string,
  modelFolders: readonly string[],
): Promise<StorageAlone> {
  await mkdir(folder, { recursive: true });
  const logPath = path.join(folder, 'azurite.log');
  const { part, media, system } = await startAzurite({ folder, logPath, isPersistent: false });
  const failure = part.failure();
  failure.catch(() => undefined); // The caller handles it.
  try {
    const accounts = { media: storageAccount(media), system: storageAccount(system) };
    const blobs = await openBlobStore(accounts, PATIENT);
    for (const modelFolder of modelFolders) await publishModels(blobs, modelFolder);
  } catch (error) {
    await part.stop();
    throw error;
  }
  return {
    clientEnvironment: { FRAMEFLEET_MEDIA_STORAGE: media, FRAMEFLEET_SYSTEM_STORAGE: system },
    failure,
    stop: () => part.stop(),
  };
}
