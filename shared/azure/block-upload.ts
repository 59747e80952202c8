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
  const calls = blockCalls(blob, policy, signal);
  const upload = randomUUID();
  let blocks = 0;
  return {
    async putBlock(bytes) {
      const id = blockId(blocks, upload);
      blocks += 1;
      await calls.stage(id, bytes);
      return id;
    },
    commit: (ids) => calls.commit(ids, contentType),
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
  const calls = blockCalls(blob, policy, signal);
  return {
    putPart: (part, bytes) => calls.stage(blockId(part), bytes),
    async commit(parts) {
      const ids = Array.from({ length: parts }, (_, part) => blockId(part));
      try {
        await calls.commit(ids);
        return true;
      } catch (error) {
        if (storageFailure(error).errorCode === 'InvalidBlockList') return false;
        throw error;
      }
    },
  };
}

function blockCalls(blob: BlockBlobClient, policy: RetryPolicy, signal: AbortSignal | undefined) {
  return {
    async stage(id: string, bytes: Uint8Array): Promise<void> {
      using call = boundedCall(policy, signal);
      await blob.stageBlock(id, bytes, bytes.length, { abortSignal: call.abortSignal });
    },
    async commit(ids: readonly string[], contentType?: string): Promise<void> {
      using call = boundedCall(policy, signal);
      await blob.commitBlockList([...ids], {
        ...(contentType === undefined ? {} : { blobHTTPHeaders: { blobContentType: contentType } }),
        abortSignal: call.abortSignal,
      });
    },
  };
}

/** The ids of all blocks of a blob have one length. */
function blockId(part: number, upload = ''): string {
  return Buffer.from(`${upload}${String(part).padStart(5, '0')}`).toString('base64');
}
