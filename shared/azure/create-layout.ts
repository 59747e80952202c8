/** Makes every container and queue of the layout: what Terraform does on Azure, for emulators. Harmless when repeated. */
import { CONTAINERS, CONTAINER_NAMES, QUEUE_NAMES } from '../contract/storage-layout.ts';
import { BRISK, type StorageAccount } from './credentials.ts';

export async function createLayout(accounts: {
  readonly media: StorageAccount;
  readonly system: StorageAccount;
}): Promise<void> {
  const blobs = { media: await accounts.media.blobs(BRISK), system: await accounts.system.blobs(BRISK) };
  const queues = await accounts.system.queues(BRISK);
  await Promise.all([
    ...CONTAINER_NAMES.map((name) => blobs[CONTAINERS[name]].getContainerClient(name).createIfNotExists()),
    ...QUEUE_NAMES.map((name) => queues.getQueueClient(name).createIfNotExists()),
  ]);
}
