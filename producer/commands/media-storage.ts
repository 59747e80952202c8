/** The media account as a command opens it: asked briskly whether it is there, then used patiently. */
import { type BlobStore, openBlobStore } from '../../shared/azure/blob-store.ts';
import { BRISK, PATIENT, storageAccount } from '../../shared/azure/credentials.ts';
import { reachStorage } from '../../shared/azure/storage-errors.ts';

/** Throws CONFIG_INVALID or STORAGE_UNAVAILABLE. */
export async function openMediaStorage(setting: string, signal: AbortSignal): Promise<BlobStore> {
  const accounts = { media: storageAccount(setting), system: null };
  const door = await openBlobStore(accounts, BRISK);
  await reachStorage('the media storage', () => door.stat('incoming', 'reachable', { signal }));
  return openBlobStore(accounts, PATIENT);
}
