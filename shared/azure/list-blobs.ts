/** Lists the blobs of a container. The time-out of a listing restarts with each blob. */
import type { ContainerClient } from '@azure/storage-blob';

import { isComplete } from './copy-blob.ts';
import type { RetryPolicy } from './credentials.ts';
import { boundedCall } from './storage-calls.ts';

export interface BlobInfo {
  readonly name: string;
  readonly sizeBytes: number;
  readonly etag: string;
  readonly lastModifiedAt: Date;
  /** False while a copy into the blob is in progress, and for a blob that can still grow. */
  readonly isComplete: boolean;
  /** Empty if the listing did not request it. */
  readonly metadata: Readonly<Record<string, string>>;
}

interface BlobListing {
  readonly prefix?: string;
  readonly withMetadata?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Ascending by name; 5,000 blobs per request. */
export async function* listBlobs(
  container: ContainerClient,
  policy: RetryPolicy,
  { prefix = '', withMetadata = false, signal }: BlobListing,
): AsyncGenerator<BlobInfo, void> {
  using call = boundedCall(policy, signal);
  const blobs = container.listBlobsFlat({
    prefix,
    includeCopy: true,
    includeMetadata: withMetadata,
    abortSignal: call.abortSignal,
  });
  for await (const { name, properties, metadata } of blobs) {
    call.restartTimeout();
    yield {
      name,
      sizeBytes: properties.contentLength ?? 0,
      // A listing omits the quotes that all other responses have.
      etag: `"${properties.etag.replaceAll('"', '')}"`,
      lastModifiedAt: properties.lastModified,
      isComplete: isComplete(properties),
      metadata: metadata ?? {},
    };
  }
}

/** The top-level folders: the name `<jobId>/status.json` gives `<jobId>`. */
export async function* listFolderNames(
  container: ContainerClient,
  policy: RetryPolicy,
  { signal }: Pick<BlobListing, 'signal'> = {},
): AsyncGenerator<string, void> {
  using call = boundedCall(policy, signal);
  for await (const item of container.listBlobsByHierarchy('/', { abortSignal: call.abortSignal })) {
    call.restartTimeout();
    if (item.kind === 'prefix') yield item.name.replace(/\/$/, '');
  }
}
