/** Opens the poison queue and the storage that its entries refer to. */
import { type BlobStore, openBlobStore } from '../../../shared/azure/blob-store.ts';
import { PATIENT } from '../../../shared/azure/credentials.ts';
import { reachStorage } from '../../../shared/azure/storage-errors.ts';
import { type WorkQueue, openWorkQueue } from '../../../shared/azure/work-queue.ts';
import type { StorageCommandConfig } from '../../../shared/command/config.ts';
import { storageAccounts } from '../../../shared/command/storage-accounts.ts';
import { QUEUES } from '../../../shared/contract/storage-layout.ts';

export interface PoisonStorage {
  readonly blobs: BlobStore;
  readonly poison: WorkQueue;
  readonly batches: WorkQueue;
}

/** Throws CONFIG_INVALID, FLEET_NOT_FOUND, STACK_FAILED or STORAGE_UNAVAILABLE. */
export async function reachPoison(config: StorageCommandConfig): Promise<PoisonStorage> {
  const accounts = await storageAccounts(config);
  const brisk = await openWorkQueue(accounts.system, QUEUES.frameBatchesPoison);
  await reachStorage('the system storage', () => brisk.countApprox());
  return {
    blobs: await openBlobStore(accounts, PATIENT),
    // Many retries: its leases are long, and only the user waits for it.
    poison: await openWorkQueue(accounts.system, QUEUES.frameBatchesPoison, PATIENT),
    batches: await openWorkQueue(accounts.system, QUEUES.frameBatches),
  };
}
