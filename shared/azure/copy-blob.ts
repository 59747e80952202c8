/**
 * A copy that the service makes itself, within an account: the bytes do not come by here. It is asked for and looked at, never
 * waited for: within an account most are done at once, and a large one may take a while.
 */
import type { BlobClient } from '@azure/storage-blob';

import { isAlreadyThere, isNotFound } from './storage-errors.ts';

/**
 * copied   all of it is there, under this etag: by this call, or by an earlier one
 * pending  the service is at it: ask again
 * changed  the source is gone, or is another by now
 */
export type CopyOutcome =
  | { readonly kind: 'copied'; readonly etag: string }
  | { readonly kind: 'pending' }
  | { readonly kind: 'changed' };

interface CopyState {
  readonly blobType?: string | undefined;
  readonly copyStatus?: string | undefined;
}

/** A block blob is put in one piece or committed as a whole; an append or page blob is never known to be complete. */
export function isWhole({ blobType, copyStatus }: CopyState): boolean {
  return (blobType ?? 'BlockBlob') === 'BlockBlob' && (copyStatus ?? 'success') === 'success';
}

export async function copyBlob({
  source,
  target,
  etag,
  abortSignal,
}: {
  readonly source: BlobClient;
  readonly target: BlobClient;
  readonly etag: string;
  readonly abortSignal: AbortSignal;
}): Promise<CopyOutcome> {
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
  return outcomeAt(target, abortSignal);
}

/** Where a condition was not met, it was the target's if that is there, else the source's. */
async function outcomeAt(target: BlobClient, abortSignal: AbortSignal): Promise<CopyOutcome> {
  try {
    const { copyStatus = 'success', etag = '' } = await target.getProperties({ abortSignal });
    if (copyStatus === 'success') return { kind: 'copied', etag };
    // One that failed left nothing of use: room for the next try.
    if (copyStatus !== 'pending') await target.deleteIfExists({ abortSignal });
    return { kind: 'pending' };
  } catch (error) {
    if (isNotFound(error)) return { kind: 'changed' };
    throw error;
  }
}
