/**
 * Checks for a drain request: a blob in `control`, put there by the scaler or an operator, that asks this instance to finish its
 * batch and receive nothing more. The loop checks before each receive; `drain` acts on it.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { drainBlob } from '../../shared/contract/blob-names.ts';
import type { Log } from '../../shared/runtime/log.ts';

export interface DrainRequestQuery {
  readonly blobs: Pick<BlobStore, 'stat'>;
  readonly vmId: string;
  readonly log: Log;
  readonly signal?: AbortSignal;
}

/**
 * Returns the request's etag, which the heartbeat quotes to answer exactly this request; null if there is none. If storage
 * does not answer, this logs a warning and returns null, because draining cannot be undone.
 */
export async function findDrainRequest(query: DrainRequestQuery): Promise<string | null> {
  const { blobs, vmId, log, signal } = query;
  const name = drainBlob(vmId);
  try {
    return (await blobs.stat('control', name, { signal }))?.etag ?? null;
  } catch (error) {
    if (signal?.aborted !== true) log.warn({ error, vmId }, 'drain request check failed');
    return null;
  }
}
