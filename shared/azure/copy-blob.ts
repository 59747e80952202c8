/**
 * A copy that the service makes itself, within an account: the bytes do not come by here. It is asked for and looked at, never
 * waited for: within an account most are done at once, and a large one may take a while.
 */
import type { BlobClient } from '@azure/storage-blob';

import { isAlreadyThere, isNotFound } from './storage-errors.ts';

/**
 * copied   all of it is there: by this call, or by an earlier one
 * pending  the service is at it: ask again
 * changed  the source is gone, or is another by now
 */
export type CopyOutcome = 'copied' | 'pending' | 'changed';

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
    if (isNotFound(error)) return 'changed';
    if (!isAlreadyThere(error)) throw error;
  }
  // A condition was not met: the target's where it is there, else the source's.
  const copyStatus = await statusOf(target, abortSignal);
  switch (copyStatus) {
    case 'absent':
      return 'changed';
    case 'success':
      return 'copied';
    case 'pending':
      return 'pending';
    default:
      // It failed, and left nothing of use: room for the next try.
      await target.deleteIfExists({ abortSignal });
      return 'pending';
  }
}

async function statusOf(target: BlobClient, abortSignal: AbortSignal): Promise<string> {
  try {
    return (await target.getProperties({ abortSignal })).copyStatus ?? 'success';
  } catch (error) {
    if (isNotFound(error)) return 'absent';
    throw error;
  }
}
