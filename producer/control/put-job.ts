/** The last steps of an upload: the list of still images, and the trigger, which starts the job. For `enqueue` and the page. */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { sourceBlob, triggerBlob } from '../../shared/contract/blob-names.ts';
import { IMAGE_LIST_SUFFIX, type ImageList, encodeImageList } from '../../shared/contract/image-list.ts';
import type { JobRequest } from '../../shared/contract/job.ts';

const JSON_BLOB = { contentType: 'application/json' } as const;

export interface ListedImages {
  readonly jobId: string;
  /** Of the file or folder. */
  readonly sourceName: string;
  readonly list: Omit<ImageList, 'version'>;
  readonly signal?: AbortSignal | undefined;
}

/** Writes the list of images, which is the source of the job. */
export async function putImageList(
  blobs: BlobStore,
  { jobId, sourceName, list, signal }: ListedImages,
): Promise<JobRequest['source']> {
  const name = sourceName + IMAGE_LIST_SUFFIX;
  const blobName = sourceBlob(jobId, name);
  const text = encodeImageList({ version: 1, ...list });
  await blobs.put('incoming', blobName, text, { ...JSON_BLOB, signal });
  const stored = await blobs.stat('incoming', blobName, { signal });
  return { name, sizeBytes: Buffer.byteLength(text), etag: stored?.etag ?? '', kind: 'images' };
}

/** Starts the job. Everything that the request names must be stored. */
export async function putTrigger(blobs: BlobStore, request: JobRequest, signal?: AbortSignal): Promise<void> {
  const text = JSON.stringify(request, undefined, 2);
  await blobs.put('incoming', triggerBlob(request.jobId), text, { ...JSON_BLOB, signal });
}
