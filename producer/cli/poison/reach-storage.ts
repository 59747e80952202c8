/** The poison queue, and the storage that its entries speak of. */
import { type BlobStore, openBlobStore } from '../../../shared/azure/blob-store.ts';
import { PATIENT } from '../../../shared/azure/credentials.ts';
import { reachStorage } from '../../../shared/azure/storage-errors.ts';
import { type WorkQueue, openWorkQueue } from '../../../shared/azure/work-queue.ts';
import { QUEUES } from '../../../shared/contract/storage-layout.ts';
import type { CommandConfig } from '../config.ts';
import { storageAccounts } from '../storage-accounts.ts';

export interface PoisonStorage {
  readonly blobs: BlobStore;
  readonly poison: WorkQueue;
  readonly batches: WorkQueue;
}

/** Throws CONFIG_INVALID, STACK_FAILED or STORAGE_UNAVAILABLE. */
export async function reachPoison(config: CommandConfig): Promise<PoisonStorage> {
  const accounts = await storageAccounts(config);
  const door = await openWorkQueue(accounts.system, QUEUES.frameBatchesPoison);
  await reachStorage('the system storage', () => door.countApprox());
  return {
    blobs: await openBlobStore(accounts, PATIENT),
    // Its leases are long, and nobody but a person waits for it.
    poison: await openWorkQueue(accounts.system, QUEUES.frameBatchesPoison, PATIENT),
    batches: await openWorkQueue(accounts.system, QUEUES.frameBatches),
  };
}
