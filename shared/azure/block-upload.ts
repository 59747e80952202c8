/** Uploads a blob in parts, at most 8 MiB each. Each call ends within its policy's time-out. */
import { randomUUID } from 'node:crypto';

import type { BlockBlobClient } from '@azure/storage-blob';

import type { RetryPolicy } from './retry-policy.ts';
import { boundedCall } from './storage-calls.ts';
import { storageFailure } from './storage-errors.ts';

/** A blob that is uploaded in parts, in any order. It exists once it is complete. */
export interface BlockUpload {
  /** Stores a part. Returns its id. */
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

/** A blob whose parts have numbers, from 0 on, so that each may come from another process. It exists once it is complete. */
export interface NumberedUpload {
  /** Replaces a part of this number. */
  putPart(part: number, bytes: Uint8Array): Promise<void>;
  /** Makes the blob of so many parts. Returns whether all of them are stored. Replaces a blob of this name. */
  commit(parts: number): Promise<boolean>;
}

export function numberedUpload(
  blob: BlockBlobClient,
  policy: RetryPolicy,
  { signal }: { readonly signal?: AbortSignal | undefined },
): NumberedUpload {
  return {
    async putPart(part, bytes) {
      using call = boundedCall(policy, signal);
      await blob.stageBlock(idOf(part), bytes, bytes.length, { abortSignal: call.abortSignal });
    },
    async commit(parts) {
      using call = boundedCall(policy, signal);
      const ids = Array.from({ length: parts }, (_, part) => idOf(part));
      try {
        await blob.commitBlockList(ids, { abortSignal: call.abortSignal });
        return true;
      } catch (error) {
        if (storageFailure(error).errorCode === 'InvalidBlockList') return false;
        throw error;
      }
    },
  };
}

/** The ids of all blocks of a blob have one length. */
function idOf(part: number): string {
  return Buffer.from(String(part).padStart(5, '0')).toString('base64');
}
