/**
 * The storage of a private fleet that is left behind, because its job's result could be written nowhere else: only the storage
 * emulator's folder, moved to a place that the next start does not remove. `npm run fetch` serves it again.
 */
import { mkdir, rename } from 'node:fs/promises';
import path from 'node:path';

import { startAzurite } from './azurite.ts';
import { type Stack, removeFolder } from './stack.ts';

/** Moves the storage of a stack that has stopped; removes everything else that it has written. */
export async function moveStorage(stackFolder: string, keptFolder: string): Promise<void> {
  await mkdir(keptFolder, { recursive: true });
  await rename(path.join(stackFolder, 'azurite'), path.join(keptFolder, 'azurite'));
  await removeFolder(stackFolder);
}

/** Nothing but the storage. Throws STACK_FAILED. */
export async function startKeptStorage(
  keptFolder: string,
): Promise<Pick<Stack, 'clientEnvironment' | 'failure' | 'stop'>> {
  const { part, media } = await startAzurite({
    folder: keptFolder,
    logPath: path.join(keptFolder, 'azurite.log'),
    isPersistent: true,
  });
  const failure = part.failure();
  failure.catch(() => undefined); // Looked at by the owner.
  return {
    clientEnvironment: { FRAMEFLEET_MEDIA_STORAGE: media },
    failure,
    stop: () => part.stop(),
  };
}
