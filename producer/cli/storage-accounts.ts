/** The storage that a command means, and its blobs: the one that is configured, else that of the local fleet of this folder. */
import { type BlobStore, openBlobStore } from '../../shared/azure/blob-store.ts';
import { BRISK, PATIENT, type StorageAccount, storageAccount } from '../../shared/azure/credentials.ts';
import { reachStorage } from '../../shared/azure/storage-errors.ts';
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

/**
 * The blobs of the accounts, after one quick request to the system account, or to the media account where there is no other: a
 * wrong address or a missing role is reported within seconds. Throws STORAGE_UNAVAILABLE.
 */
export async function openReachable(
  accounts: Parameters<typeof openBlobStore>[0],
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<BlobStore> {
  const door = await openBlobStore(accounts, BRISK);
  if (accounts.system === null)
    await reachStorage('the media storage', () => door.stat('incoming', 'reachable', { signal }));
  else await reachStorage('the system storage', () => door.stat('control', 'reachable', { signal }));
  return openBlobStore(accounts, PATIENT);
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
