/**
 * Keeps the storage of a private fleet whose result could not be saved. The folder of the storage emulator moves to a place that the
 * next start does not remove; `npm run fetch` starts an emulator on it again.
 */
import { rename } from 'node:fs/promises';
import path from 'node:path';

import { startAzurite } from './azurite.ts';
import { type Stack, removeFolder } from './stack.ts';

/** Moves the storage of a stopped stack to `keptFolder`, which exists, and removes the rest of the stack's folder. */
export async function moveStorage(stackFolder: string, keptFolder: string): Promise<void> {
  await rename(path.join(stackFolder, 'azurite'), path.join(keptFolder, 'azurite'));
  await removeFolder(stackFolder);
}

/** Starts only the storage. Throws STACK_FAILED. */
export async function startKeptStorage(
  keptFolder: string,
): Promise<Pick<Stack, 'clientEnvironment' | 'failure' | 'stop'>> {
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
