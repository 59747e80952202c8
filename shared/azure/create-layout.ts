/** Creates every container and queue of the layout in an emulator, as Terraform does on Azure. Idempotent. */
import { CONTAINERS, CONTAINER_NAMES, QUEUE_NAMES } from '../contract/storage-layout.ts';
import type { StorageAccount } from './credentials.ts';
import { PATIENT } from './retry-policy.ts';

export async function createLayout(accounts: {
  readonly media: StorageAccount;
  readonly system: StorageAccount;
}): Promise<void> {
  const blobs = { media: await accounts.media.blobs(PATIENT), system: await accounts.system.blobs(PATIENT) };
  const queues = await accounts.system.queues(PATIENT);
  await Promise.all([
    ...CONTAINER_NAMES.map((name) => blobs[CONTAINERS[name]].getContainerClient(name).createIfNotExists()),
    ...QUEUE_NAMES.map((name) => queues.getQueueClient(name).createIfNotExists()),
  ]);
}
