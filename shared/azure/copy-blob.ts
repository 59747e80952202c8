/**
 * Copies a blob within an account. The service copies the bytes itself, at once for most blobs, later for large ones. So a call
 * starts the copy and reports its state, and never waits for its end.
 */
import type { BlobClient } from '@azure/storage-blob';

import { isAlreadyThere, isNotFound } from './storage-errors.ts';

/**
 * copied   the copy is complete and has this etag, whether by this call or an earlier one
 * pending  the service is still copying, or a failed copy was removed: call again
 * changed  the source is gone or has changed
 */
export type CopyOutcome =
  | { readonly kind: 'copied'; readonly etag: string }
  | { readonly kind: 'pending' }
  | { readonly kind: 'changed' };

interface CopyState {
  readonly blobType?: string | undefined;
  readonly copyStatus?: string | undefined;
}

/** A block blob becomes visible in one step; an append or page blob may always grow. */
export function isComplete({ blobType, copyStatus }: CopyState): boolean {
  return (blobType ?? 'BlockBlob') === 'BlockBlob' && (copyStatus ?? 'success') === 'success';
}

export interface CopyRequest {
  readonly source: BlobClient;
  /** The source is copied only if it still has this etag. */
  readonly etag: string;
  readonly target: BlobClient;
  readonly abortSignal: AbortSignal;
}

export async function copyBlob(request: CopyRequest): Promise<CopyOutcome> {
  const { source, etag, target, abortSignal } = request;
  try {
    await target.beginCopyFromURL(source.url, {
      conditions: { ifNoneMatch: '*' },
      sourceConditions: { ifMatch: etag },
      abortSignal,
    });
  } catch (error) {
    if (isNotFound(error)) return { kind: 'changed' };
    if (!isAlreadyThere(error)) throw error;
  }
  return copyState(target, abortSignal);
}

/** If a condition was not met, it was the target's if the target exists, else the source's. */
async function copyState(target: BlobClient, abortSignal: AbortSignal): Promise<CopyOutcome> {
  try {
    const { copyStatus = 'success', etag = '' } = await target.getProperties({ abortSignal });
    if (copyStatus === 'success') return { kind: 'copied', etag };
    // A failed copy leaves nothing useful: remove it so that the next call can start again.
    if (copyStatus !== 'pending') await target.deleteIfExists({ abortSignal });
    return { kind: 'pending' };
  } catch (error) {
    if (isNotFound(error)) return { kind: 'changed' };
    throw error;
  }
}
