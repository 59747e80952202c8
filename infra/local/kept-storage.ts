/**
 * Storage without the rest of a fleet. That of a private fleet whose result could not be saved is kept: the folder of the emulator moves to a
 * place that the next start does not remove, and `npm run fetch` starts an emulator on it again. And one with the models of this machine, for
 * `npm run model`.
 */
import { mkdir, rename } from 'node:fs/promises';
import path from 'node:path';

import { startAzurite } from './azurite.ts';
import { type Stack, publishModelFolders, removeFolder } from './stack.ts';

type StorageAlone = Pick<Stack, 'clientEnvironment' | 'failure' | 'stop'>;

/** Moves the storage of a stopped stack to `keptFolder`, which exists, and removes the rest of the stack's folder. */
export async function moveStorage(stackFolder: string, keptFolder: string): Promise<void> {
  await rename(path.join(stackFolder, 'azurite'), path.join(keptFolder, 'azurite'));
  await removeFolder(stackFolder);
}

/** Starts only the storage that a private fleet kept. Throws STACK_FAILED. */
export function startKeptStorage(keptFolder: string): Promise<StorageAlone> {
  return startStorage(keptFolder, { isPersistent: true });
}

/** Starts storage in a new folder, and publishes the models. Throws STACK_FAILED or MODEL_INVALID. */
export async function startModelStorage(
  folder: string,
  modelFolders: readonly string[],
): Promise<StorageAlone> {
  await mkdir(folder, { recursive: true });
  const storage = await startStorage(folder, { isPersistent: false });
  try {
    await publishModelFolders(storage, modelFolders);
  } catch (error) {
    await storage.stop();
    throw error;
  }
  return storage;
}

async function startStorage(folder: string, { isPersistent }: { readonly isPersistent: boolean }) {
  const logPath = path.join(folder, 'azurite.log');
  const { part, media, system } = await startAzurite({ folder, logPath, isPersistent });
  const failure = part.failure();
  failure.catch(() => undefined); // The caller handles it.
  return {
    media,
    system,
    clientEnvironment: { FRAMEFLEET_MEDIA_STORAGE: media, FRAMEFLEET_SYSTEM_STORAGE: system },
    failure,
    stop: () => part.stop(),
  };
}
