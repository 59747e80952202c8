/**
 * Whether this machine has been asked to finish and take nothing more: by a blob in `control`, which the scaler or an operator
 * puts there. Looked for before each receive; what follows from it is left to the loop.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { drainBlob } from '../../shared/contract/blob-names.ts';
import type { Log } from '../../shared/runtime/log.ts';

/**
 * The request's etag, which the heartbeat quotes as consent to this request and no other; null where there is none. Storage
 * that does not answer says neither: that is logged, and counts as none, because drained is for ever.
 */
export async function findDrainRequest({
  blobs,
  vmId,
  log,
  signal,
}: {
  readonly blobs: Pick<BlobStore, 'stat'>;
  readonly vmId: string;
  readonly log: Log;
  readonly signal?: AbortSignal;
}): Promise<string | null> {
  const name = drainBlob(vmId);
  try {
    return (await blobs.stat('control', name, { signal }))?.etag ?? null;
  } catch (error) {
    if (signal?.aborted !== true) log.warn({ error, vmId }, 'drain request unknown');
    return null;
  }
}
