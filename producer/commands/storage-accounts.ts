/** The storage that a command means: the one that is configured, else that of the local fleet of this folder. */
import { type StorageAccount, storageAccount } from '../../shared/azure/credentials.ts';
import { findReadyStack } from '../../shared/command/local-stack.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import type { CommandConfig } from './config.ts';

/** Throws CONFIG_INVALID or STACK_FAILED. Nothing is contacted yet. */
export async function storageAccounts({
  storage,
  localFolder,
}: CommandConfig): Promise<{ readonly media: StorageAccount; readonly system: StorageAccount }> {
  const { media, system } = storage ?? (await localStorage(localFolder));
  return { media: storageAccount(media), system: storageAccount(system) };
}

async function localStorage(folder: string): Promise<{ readonly media: string; readonly system: string }> {
  const environment = await findReadyStack(folder);
  const media = environment?.['FRAMEFLEET_MEDIA_STORAGE'];
  const system = environment?.['FRAMEFLEET_SYSTEM_STORAGE'];
  if (media !== undefined && system !== undefined) return { media, system };
  throw new PermanentError(
    'CONFIG_INVALID',
    'There is no fleet to look into: no storage is configured, and no local fleet runs for this folder.',
    {
      hint: 'Start one with `npm start`, or set FRAMEFLEET_MEDIA_STORAGE and FRAMEFLEET_SYSTEM_STORAGE. A fleet that `npm run enqueue` starts for itself is gone with it.',
    },
  );
}
