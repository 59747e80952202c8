/** Finds and opens the storage that a command works on: the configured accounts, else those of the local fleet of this folder. */
import { type BlobStore, openBlobStore } from '../azure/blob-store.ts';
import { BRISK, PATIENT, type StorageAccount, storageAccount } from '../azure/credentials.ts';
import { reachStorage } from '../azure/storage-errors.ts';
import { PermanentError } from '../runtime/errors.ts';
import type { StorageCommandConfig } from './config.ts';
import { findReadyStack } from './local-stack.ts';

interface StorageAccounts {
  readonly media: StorageAccount;
  readonly system: StorageAccount;
}

/** Sends no request to the accounts yet. Throws CONFIG_INVALID, FLEET_NOT_FOUND or STACK_FAILED. */
export async function storageAccounts(config: StorageCommandConfig): Promise<StorageAccounts> {
  const { media, system } = config.storage ?? (await localStorage(config.localFolder));
  return { media: storageAccount(media), system: storageAccount(system) };
}

/**
 * Opens the blobs of the accounts after one request with few retries to the system account, or to the media account if there is no
 * other: a wrong address or a missing role is reported within seconds. Throws STORAGE_UNAVAILABLE.
 */
export async function openReachable(
  accounts: Parameters<typeof openBlobStore>[0],
  signal?: AbortSignal,
): Promise<BlobStore> {
  const brisk = await openBlobStore(accounts, BRISK);
  if (accounts.system === null)
    await reachStorage('the media storage', () => brisk.stat('incoming', 'reachable', { signal }));
  else await reachStorage('the system storage', () => brisk.stat('control', 'reachable', { signal }));
  return openBlobStore(accounts, PATIENT);
}

/** Opens the media account alone, by its name, blob host or connection string. Throws CONFIG_INVALID or STORAGE_UNAVAILABLE. */
export function openMediaStorage(setting: string, signal: AbortSignal): Promise<BlobStore> {
  return openReachable({ media: storageAccount(setting), system: null }, signal);
}

async function localStorage(folder: string): Promise<{ readonly media: string; readonly system: string }> {
  const environment = await findReadyStack(folder);
  const media = environment?.['FRAMEFLEET_MEDIA_STORAGE'];
  const system = environment?.['FRAMEFLEET_SYSTEM_STORAGE'];
  if (media !== undefined && system !== undefined) return { media, system };
  throw noFleet('FRAMEFLEET_MEDIA_STORAGE and FRAMEFLEET_SYSTEM_STORAGE');
}

/** The error for a command that finds no fleet to work on. `variables` name the storage of a fleet on Azure. */
export function noFleet(variables: string): PermanentError {
  return new PermanentError(
    'FLEET_NOT_FOUND',
    'No fleet found: no storage is configured, and no local fleet runs in this folder.',
    {
      hint: `Start a local fleet with \`npm start\`, or set ${variables}. A fleet that \`npm run enqueue\` starts for itself ends with its job.`,
    },
  );
}
