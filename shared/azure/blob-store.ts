/**
 * Blobs by container and name, over both accounts. The only importer of @azure/storage-blob besides `credentials.ts`.
 *
 * A put with `onlyIfAbsent` is how outputs become idempotent: whoever comes second changes no byte.
 */
import { buffer } from 'node:stream/consumers';

import type { BlobServiceClient, ContainerClient } from '@azure/storage-blob';

import {
  type AccountName,
  type ContainerName,
  type ShareContainer,
  accountOf,
} from '../contract/storage-layout.ts';
import { boundedCall } from './bounded-call.ts';
import { type CopyOutcome, copyBlob, isWhole } from './copy-blob.ts';
import type { RetryPolicy, StorageAccount } from './credentials.ts';
import { isAlreadyThere, isConditionNotMet, isNotFound } from './storage-errors.ts';

export interface BlobInfo {
  readonly name: string;
  readonly sizeBytes: number;
  readonly etag: string;
  readonly lastModifiedAt: Date;
  /** Whether all of it is there: false while a copy is under way, and for what can still grow. */
  readonly isWhole: boolean;
  /** Only where the listing asked for it. */
  readonly metadata: Readonly<Record<string, string>>;
}

interface Cancellable {
  readonly signal?: AbortSignal | undefined;
}

type AnyContainer = ContainerName | ShareContainer;

interface PutOptions extends Cancellable {
  readonly contentType?: string;
  readonly onlyIfAbsent?: boolean;
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface BlobStore {
  /** `exists` only where `onlyIfAbsent` was asked and something was there. */
  put(
    container: AnyContainer,
    name: string,
    body: Uint8Array | string,
    options?: PutOptions,
  ): Promise<'created' | 'exists'>;
  /** Adds to the end of an append blob, which is made where there is none: 4 MiB a call, 50,000 calls a blob. */
  append(container: AnyContainer, name: string, text: string, options?: Cancellable): Promise<void>;
  /** In blocks, with bounded memory; returns the new blob's etag. `onProgress` gets bytes sent so far. */
  putFile(
    container: AnyContainer,
    name: string,
    path: string,
    options?: Cancellable & { readonly contentType?: string; readonly onProgress?: (bytes: number) => void },
  ): Promise<string>;
  /** The whole blob in memory, or undefined where there is none. One request. */
  get(container: AnyContainer, name: string, options?: Cancellable): Promise<Buffer | undefined>;
  /** Throws where there is none. */
  getFile(
    container: AnyContainer,
    name: string,
    path: string,
    options?: Cancellable & { readonly onProgress?: (bytes: number) => void },
  ): Promise<void>;
  stat(
    container: AnyContainer,
    name: string,
    options?: Cancellable,
  ): Promise<Omit<BlobInfo, 'name'> | undefined>;
  /** Ascending by name; 5,000 a request. */
  list(
    container: AnyContainer,
    options: Cancellable & { readonly prefix?: string; readonly withMetadata?: boolean },
  ): AsyncIterable<BlobInfo>;
  /** The first parts of names, as in a folder: `<jobId>/` gives `<jobId>`. */
  listFolders(container: AnyContainer, options?: Cancellable): AsyncIterable<string>;
  /** Within an account, by the service itself, if the source is still the one with that etag and nothing is there yet. */
  copy(
    from: { readonly container: AnyContainer; readonly name: string; readonly etag: string },
    to: { readonly container: AnyContainer; readonly name: string },
  ): Promise<CopyOutcome>;
  /** With its snapshots. With `onlyIfEtag`, one that has been written since stays. */
  remove(container: AnyContainer, name: string, options?: { readonly onlyIfEtag?: string }): Promise<void>;
}

/** `null` for an account that this room may not touch: a blob in it is then a mistake of ours, and throws. */
export type Accounts = Readonly<Record<AccountName, StorageAccount | null>>;

export async function openBlobStore(accounts: Accounts, policy: RetryPolicy): Promise<BlobStore> {
  const services: Record<AccountName, BlobServiceClient | undefined> = {
    media: await accounts.media?.blobs(policy),
    system: await accounts.system?.blobs(policy),
  };
  return blobStore((container) => {
    const service = services[accountOf(container)];
    if (service === undefined) throw new TypeError(`the container ${container} is not for this room`);
    return service.getContainerClient(container);
  }, policy);
}

/** Files may take long, however long: only what is small is bounded. */
function blobStore(open: (container: AnyContainer) => ContainerClient, policy: RetryPolicy): BlobStore {
  return {
    async put(container, name, body, { contentType, onlyIfAbsent = false, metadata, signal } = {}) {
      using call = boundedCall(policy, signal);
      try {
        await open(container)
          .getBlockBlobClient(name)
          .upload(body, Buffer.byteLength(body), {
            ...(contentType === undefined ? {} : { blobHTTPHeaders: { blobContentType: contentType } }),
            ...(onlyIfAbsent ? { conditions: { ifNoneMatch: '*' } } : {}),
            ...(metadata === undefined ? {} : { metadata: { ...metadata } }),
            abortSignal: call.abortSignal,
          });
        return 'created';
      } catch (error) {
        if (onlyIfAbsent && isAlreadyThere(error)) return 'exists';
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
    async putFile(container, name, path, { contentType, onProgress, signal } = {}) {
      const { etag } = await open(container)
        .getBlockBlobClient(name)
        .uploadFile(path, {
          ...(contentType === undefined ? {} : { blobHTTPHeaders: { blobContentType: contentType } }),
          ...progress(onProgress),
          ...abortable(signal),
        });
      return etag ?? '';
    },
    async get(container, name, { signal } = {}) {
      using call = boundedCall(policy, signal);
      try {
        const { readableStreamBody } = await open(container)
          .getBlobClient(name)
          .download(0, undefined, { abortSignal: call.abortSignal });
        if (readableStreamBody === undefined) throw new TypeError('expected a stream of the blob');
        return await buffer(readableStreamBody);
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
    },
    async getFile(container, name, path, { onProgress, signal } = {}) {
      await open(container)
        .getBlobClient(name)
        .downloadToFile(path, 0, undefined, { ...progress(onProgress), ...abortable(signal) });
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
          isWhole: isWhole(found),
          metadata: metadata ?? {},
        };
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
    },
    async *list(container, { prefix = '', withMetadata = false, signal }) {
      using call = boundedCall(policy, signal);
      const blobs = open(container).listBlobsFlat({
        prefix,
        includeCopy: true,
        includeMetadata: withMetadata,
        abortSignal: call.abortSignal,
      });
      for await (const { name, properties, metadata } of blobs) {
        call.goOn();
        yield {
          name,
          sizeBytes: properties.contentLength ?? 0,
          // A listing leaves the quotes out that every other answer has.
          etag: `"${properties.etag.replaceAll('"', '')}"`,
          lastModifiedAt: properties.lastModified,
          isWhole: isWhole(properties),
          metadata: metadata ?? {},
        };
      }
    },
    async *listFolders(container, { signal } = {}) {
      using call = boundedCall(policy, signal);
      for await (const item of open(container).listBlobsByHierarchy('/', { abortSignal: call.abortSignal })) {
        call.goOn();
        if (item.kind === 'prefix') yield item.name.replace(/\/$/, '');
      }
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

function progress(onProgress: ((bytes: number) => void) | undefined) {
  return onProgress === undefined
    ? {}
    : { onProgress: ({ loadedBytes }: { loadedBytes: number }) => onProgress(loadedBytes) };
}
