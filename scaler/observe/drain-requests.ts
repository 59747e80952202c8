/** Reads the drain requests from storage, by vmId. Throws if storage fails. */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { DRAIN_PREFIX, vmIdOfDrain } from '../../shared/contract/blob-names.ts';

/** The etag of each drain request. */
export async function readDrainRequests(
  blobs: Pick<BlobStore, 'list'>,
  signal?: AbortSignal,
): Promise<Map<string, string>> {
  const requests = new Map<string, string>();
  for await (const { name, etag } of blobs.list('control', { prefix: DRAIN_PREFIX, signal })) {
    const vmId = vmIdOfDrain(name);
    if (vmId !== undefined) requests.set(vmId, plainEtag(etag));
  }
  return requests;
}

/** The service quotes etags in headers but not in listings. Both forms must compare as equal. */
export function plainEtag(etag: string): string {
  return etag.replaceAll('"', '');
}
