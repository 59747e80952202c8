/**
 * Reads and writes blobs by container and name, in both accounts.
 *
 * Each call ends within its policy's time-out, except for uploads and downloads of files, which may take
 * any time, and listings, whose time-out restarts with each blob. A put with
 * `onlyIfAbsent` makes outputs idempotent: the second writer changes nothing.
 */
import { buffer } from 'node:stream/consumers';

import type { BlobRequestConditions, BlobServiceClient, ContainerClient } from '@azure/storage-blob';

import {
  type AccountName,
  type ContainerName,
  type ShareContainer,
  accountOf,
} from '../contract/storage-layout.ts';
import { type BlockUpload, type NumberedUpload, blockUpload, numberedUpload } from './block-upload.ts';
import { type CopyOutcome, copyBlob, isComplete } from './copy-blob.ts';
import type { RetryPolicy, StorageAccount } from './credentials.ts';
import { type BlobInfo, listBlobs, listFolderNames } from './list-blobs.ts';
import { boundedCall } from './storage-calls.ts';
import { isAlreadyThere, isConditionNotMet, isNotFound } from './storage-errors.ts';

interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

type AnyContainer = ContainerName | ShareContainer;

interface PutOptions extends CallOptions {
  readonly contentType?: string;
  readonly onlyIfAbsent?: boolean;
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface BlobStore {
  /** Returns `exists` only if `onlyIfAbsent` is set and the blob was there already. */
  put(
    container: AnyContainer,
    name: string,
    body: Uint8Array | string,
    options?: PutOptions,
  ): Promise<'created' | 'exists'>;
  /**
   * Writes a blob if it still is the version with this etag, or still does not exist (`null`). Returns the new etag; undefined if the
   * blob has changed. After a lost response, that may be this call's own change.
   */
  replace(
    container: AnyContainer,
    name: string,
    body: Uint8Array | string,
    options: Omit<PutOptions, 'onlyIfAbsent'> & { readonly onlyIfEtag: string | null },
  ): Promise<string | undefined>;
  /** Appends to an append blob, which is created if necessary. Limits: 4 MiB per call, 50,000 calls per blob. */
  append(container: AnyContainer, name: string, text: string, options?: CallOptions): Promise<void>;
  /** Uploads in blocks, with bounded memory. Returns the new blob's etag. */
  putFile(
    container: AnyContainer,
    name: string,
    path: string,
    options?: CallOptions & { readonly contentType?: string },
  ): Promise<string>;
  /** Parts that are not committed expire after a week. */
  putBlocks(
    container: AnyContainer,
    name: string,
    options?: CallOptions & { readonly contentType?: string },
  ): BlockUpload;
  /** The same with numbered parts, for an upload that several processes share. */
  putNumbered(container: AnyContainer, name: string, options?: CallOptions): NumberedUpload;
  /** The whole blob in memory, in one request; undefined if it does not exist. */
  get(container: AnyContainer, name: string, options?: CallOptions): Promise<Buffer | undefined>;
  /** The same, with the etag of what was read. */
  getVersion(
    container: AnyContainer,
    name: string,
    options?: CallOptions,
  ): Promise<{ readonly bytes: Buffer; readonly etag: string } | undefined>;
  /** The blob, or a part of it, in pieces, with bounded memory. Throws if the blob does not exist, or is replaced meanwhile. */
  read(
    container: AnyContainer,
    name: string,
    options?: CallOptions & { readonly part?: { readonly offset: number; readonly bytes: number } },
  ): AsyncIterable<Buffer>;
  /** Throws if the blob does not exist. */
  getFile(container: AnyContainer, name: string, path: string, options?: CallOptions): Promise<void>;
  stat(
    container: AnyContainer,
    name: string,
    options?: CallOptions,
  ): Promise<Omit<BlobInfo, 'name'> | undefined>;
  /** Ascending by name; 5,000 blobs per request. */
  list(
    container: AnyContainer,
    options: CallOptions & { readonly prefix?: string; readonly withMetadata?: boolean },
  ): AsyncIterable<BlobInfo>;
  /** The top-level folders: the name `<jobId>/status.json` gives `<jobId>`. */
  listFolders(container: AnyContainer, options?: CallOptions): AsyncIterable<string>;
  /** The service copies within an account, if the source still has this etag and the target does not exist. */
  copy(
    from: { readonly container: AnyContainer; readonly name: string; readonly etag: string },
    to: { readonly container: AnyContainer; readonly name: string },
  ): Promise<CopyOutcome>;
  /** Also removes its snapshots. With `onlyIfEtag`, a blob that has changed since stays. */
  remove(container: AnyContainer, name: string, options?: { readonly onlyIfEtag?: string }): Promise<void>;
}

/** `null` for an account that this room must not use. Access to a blob in it is a bug, and throws. */
export type Accounts = Readonly<Record<AccountName, StorageAccount | null>>;

export async function openBlobStore(accounts: Accounts, policy: RetryPolicy): Promise<BlobStore> {
  const services: Record<AccountName, BlobServiceClient | undefined> = {
    media: await accounts.media?.blobs(policy),
    system: await accounts.system?.blobs(policy),
  };
  return blobStore((container) => {
    const service = services[accountOf(container)];
    if (service === undefined)
      throw new TypeError(`the container ${container} is not available to this room`);
    return service.getContainerClient(container);
  }, policy);
}

function blobStore(open: (container: AnyContainer) => ContainerClient, policy: RetryPolicy): BlobStore {
  async function upload(
    container: ContainerClient,
    name: string,
    body: Uint8Array | string,
    { contentType, metadata, signal }: PutOptions,
    conditions: BlobRequestConditions,
  ): Promise<string> {
    using call = boundedCall(policy, signal);
    const { etag = '' } = await container.getBlockBlobClient(name).upload(body, Buffer.byteLength(body), {
      ...(contentType === undefined ? {} : { blobHTTPHeaders: { blobContentType: contentType } }),
      ...(metadata === undefined ? {} : { metadata: { ...metadata } }),
      conditions,
      abortSignal: call.abortSignal,
    });
    return etag;
  }
  async function download(container: ContainerClient, name: string, { signal }: CallOptions = {}) {
    using call = boundedCall(policy, signal);
    try {
      const { abortSignal } = call;
      const response = await container.getBlobClient(name).download(0, undefined, { abortSignal });
      const { readableStreamBody, etag = '' } = response;
      if (readableStreamBody === undefined) throw new TypeError('expected the blob as a stream');
      return { bytes: await buffer(readableStreamBody), etag };
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }
  return {
    async put(container, name, body, { onlyIfAbsent = false, ...options } = {}) {
      try {
        await upload(open(container), name, body, options, onlyIfAbsent ? { ifNoneMatch: '*' } : {});
        return 'created';
      } catch (error) {
        if (onlyIfAbsent && isAlreadyThere(error)) return 'exists';
        throw error;
      }
    },
    async replace(container, name, body, { onlyIfEtag, ...options }) {
      const isNew = onlyIfEtag === null;
      const conditions = isNew ? { ifNoneMatch: '*' } : { ifMatch: onlyIfEtag };
      try {
        return await upload(open(container), name, body, options, conditions);
      } catch (error) {
        if (isNew ? isAlreadyThere(error) : isConditionNotMet(error)) return undefined;
        throw error;
      }
    },
    async append(container, name, text, { signal } = {}) {
      using call = boundedCall(policy, signal);
      const blob = open(container).getAppendBlobClient(name);
      const block = () => blob.appendBlock(text, Buffer.byteLength(text), { abortSignal: call.abortSignal });
      try {
        await block();
      } catch (error) {
        if (!isNotFound(error)) throw error;
        await blob.createIfNotExists({
          blobHTTPHeaders: { blobContentType: 'application/x-ndjson' },
          abortSignal: call.abortSignal,
        });
        await block();
      }
    },
    async putFile(container, name, path, { contentType, signal } = {}) {
      const { etag } = await open(container)
        .getBlockBlobClient(name)
        .uploadFile(path, {
          ...(contentType === undefined ? {} : { blobHTTPHeaders: { blobContentType: contentType } }),
          ...abortable(signal),
        });
      return etag ?? '';
    },
    putBlocks: (container, name, options = {}) =>
      blockUpload(open(container).getBlockBlobClient(name), policy, options),
    putNumbered: (container, name, options = {}) =>
      numberedUpload(open(container).getBlockBlobClient(name), policy, options),
    async *read(container, name, { signal, part } = {}) {
      const { readableStreamBody } = await open(container)
        .getBlobClient(name)
        .download(part?.offset ?? 0, part?.bytes, abortable(signal));
      if (readableStreamBody === undefined) throw new TypeError('expected the blob as a stream');
      for await (const piece of readableStreamBody) yield piece as unknown as Buffer;
    },
    get: async (container, name, options) => (await download(open(container), name, options))?.bytes,
    getVersion: (container, name, options) => download(open(container), name, options),
    async getFile(container, name, path, { signal } = {}) {
      await open(container).getBlobClient(name).downloadToFile(path, 0, undefined, abortable(signal));
    },
    async stat(container, name, { signal } = {}) {
      using call = boundedCall(policy, signal);
      try {
        const found = await open(container)
          .getBlobClient(name)
          .getProperties({ abortSignal: call.abortSignal });
        const { contentLength, etag, lastModified, metadata } = found;
        return {
          sizeBytes: contentLength ?? 0,
          etag: etag ?? '',
          lastModifiedAt: lastModified ?? new Date(0),
          isComplete: isComplete(found),
          metadata: metadata ?? {},
        };
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
    },
    async *list(container, options) {
      yield* listBlobs(open(container), policy, options);
    },
    async *listFolders(container, options) {
      yield* listFolderNames(open(container), policy, options);
    },
    async copy(from, to) {
      using call = boundedCall(policy);
      return await copyBlob({
        source: open(from.container).getBlobClient(from.name),
        target: open(to.container).getBlobClient(to.name),
        etag: from.etag,
        abortSignal: call.abortSignal,
      });
    },
    async remove(container, name, { onlyIfEtag } = {}) {
      using call = boundedCall(policy);
      try {
        await open(container)
          .getBlobClient(name)
          .deleteIfExists({
            deleteSnapshots: 'include',
            ...(onlyIfEtag === undefined ? {} : { conditions: { ifMatch: onlyIfEtag } }),
            abortSignal: call.abortSignal,
          });
      } catch (error) {
        if (onlyIfEtag === undefined || !isConditionNotMet(error)) throw error;
      }
    },
  };
}

function abortable(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}
