/** Uploads a blob in parts. Each call ends within its policy's time-out. */
import { randomUUID } from 'node:crypto';

import type { BlockBlobClient } from '@azure/storage-blob';

import type { RetryPolicy } from './retry-policy.ts';
import { boundedCall } from './storage-calls.ts';

/** A blob that is uploaded in parts, in any order. It exists once it is complete. */
export interface BlockUpload {
  /** Stores a part, of at most 8 MiB. Returns its id. */
  putBlock(bytes: Uint8Array): Promise<string>;
  /** Makes the blob of these parts, in this order. Replaces a blob of this name. */
  commit(ids: readonly string[]): Promise<void>;
}

export function blockUpload(
  blob: BlockBlobClient,
  policy: RetryPolicy,
  { contentType, signal }: { readonly contentType?: string; readonly signal?: AbortSignal | undefined },
): BlockUpload {
  const upload = randomUUID();
  let blocks = 0;
  return {
    async putBlock(bytes) {
      using call = boundedCall(policy, signal);
      const id = Buffer.from(`${upload}-${String((blocks += 1)).padStart(5, '0')}`).toString('base64');
      await blob.stageBlock(id, bytes, bytes.length, { abortSignal: call.abortSignal });
      return id;
    },
    async commit(ids) {
      using call = boundedCall(policy, signal);
      await blob.commitBlockList([...ids], {
        ...(contentType === undefined ? {} : { blobHTTPHeaders: { blobContentType: contentType } }),
        abortSignal: call.abortSignal,
      });
    },
  };
}
