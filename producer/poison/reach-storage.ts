/** The storage whose poison queue is meant: the one that is configured, else that of the local fleet of this folder. */
import { type BlobStore, openBlobStore } from '../../shared/azure/blob-store.ts';
import { PATIENT, storageAccount } from '../../shared/azure/credentials.ts';
import { reachStorage } from '../../shared/azure/storage-errors.ts';
import { type WorkQueue, openWorkQueue } from '../../shared/azure/work-queue.ts';
import { findReadyStack } from '../../shared/command/local-stack.ts';
import { QUEUES } from '../../shared/contract/storage-layout.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import type { PoisonConfig } from './config.ts';

export interface PoisonStorage {
  readonly blobs: BlobStore;
  readonly poison: WorkQueue;
  readonly batches: WorkQueue;
}

/** Throws CONFIG_INVALID, STACK_FAILED or STORAGE_UNAVAILABLE. */
export async function reachPoison(config: PoisonConfig): Promise<PoisonStorage> {
  const { media, system } = config.storage ?? (await localStorage(config.localFolder));
  const accounts = { media: storageAccount(media), system: storageAccount(system) };
  const door = await openWorkQueue(accounts.system, QUEUES.frameBatchesPoison);
  await reachStorage('the system storage', () => door.countApprox());
  return {
    blobs: await openBlobStore(accounts, PATIENT),
    // Its leases are long, and nobody but a person waits for it.
    poison: await openWorkQueue(accounts.system, QUEUES.frameBatchesPoison, PATIENT),
    batches: await openWorkQueue(accounts.system, QUEUES.frameBatches),
  };
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
      hint: 'Start one with `npm start`, or set FRAMEFLEET_MEDIA_STORAGE and FRAMEFLEET_SYSTEM_STORAGE. What a fleet that `npm run enqueue` starts for itself cannot work is gone with it.',
    },
  );
}
