/** Uploads the source, then its trigger: an incomplete upload never starts a job. */
import { randomBytes } from 'node:crypto';

import pLimit from 'p-limit';

import type { BlobStore } from '../../../shared/azure/blob-store.ts';
import { imageBlob, sourceBlob, triggerBlob } from '../../../shared/contract/blob-names.ts';
import { IMAGE_LIST_SUFFIX, type ImageList, encodeImageList } from '../../../shared/contract/image-list.ts';
import { type JobRequest, newJobId } from '../../../shared/contract/job.ts';
import { IMAGES_MAX } from '../../../shared/contract/limits.ts';
import { PermanentError } from '../../../shared/runtime/errors.ts';
import type { EnqueueOptions } from './options.ts';
import { type Source, listStoredImages } from './source.ts';

const UPLOADS_AT_ONCE = 8;

export interface Submission {
  readonly blobs: BlobStore;
  readonly options: EnqueueOptions;
  readonly source: Source;
  /** Of the file or folder. */
  readonly sourceName: string;
  readonly now: Date;
  readonly signal: AbortSignal;
}

/** Returns the job id. */
export async function submit(submission: Submission): Promise<string> {
  const { blobs, options, source, sourceName, now, signal } = submission;
  const jobId = newJobId(sourceName, now, randomBytes(3).toString('hex'));
  const request: JobRequest = {
    version: 1,
    jobId,
    source:
      source.kind === 'video'
        ? await uploadVideo(submission, jobId, source)
        : await putImageList(
            submission,
            jobId,
            source.kind === 'images'
              ? await uploadImages(submission, jobId, source)
              : await listStoredImages(blobs, source.prefix, signal),
          ),
    ...options.settings,
    ...(options.deadline === undefined ? {} : { deadlineAt: deadlineAt(options.deadline, now) }),
    createdAt: now.toISOString(),
  };
  await blobs.put('incoming', triggerBlob(jobId), JSON.stringify(request, undefined, 2), {
    contentType: 'application/json',
    signal,
  });
  return jobId;
}

async function uploadVideo(
  { blobs, sourceName, signal }: Submission,
  jobId: string,
  { path, video }: Extract<Source, { kind: 'video' }>,
): Promise<JobRequest['source']> {
  const etag = await blobs.putFile('incoming', sourceBlob(jobId, sourceName), path, { signal });
  return { name: sourceName, sizeBytes: video.fileSizeBytes, etag };
}

async function uploadImages(
  { blobs, signal }: Submission,
  jobId: string,
  { images, megapixels }: Extract<Source, { kind: 'images' }>,
): Promise<Omit<ImageList, 'version'>> {
  const uploaded = await pLimit(UPLOADS_AT_ONCE).map(images, async ({ name, path }, index) => {
    const blobName = imageBlob(jobId, index);
    return { name, blobName, etag: await blobs.putFile('incoming', blobName, path, { signal }) };
  });
  return { images: uploaded, megapixels };
}

async function putImageList(
  { blobs, sourceName, signal }: Submission,
  jobId: string,
  list: Omit<ImageList, 'version'>,
): Promise<JobRequest['source']> {
  if (list.images.length > IMAGES_MAX)
    throw new PermanentError(
      'SOURCE_TOO_LARGE',
      `There are ${list.images.length} images; a job takes ${IMAGES_MAX} at most.`,
      { hint: 'Enqueue them in several folders.' },
    );
  const name = sourceName + IMAGE_LIST_SUFFIX;
  const blobName = sourceBlob(jobId, name);
  const text = encodeImageList({ version: 1, ...list });
  await blobs.put('incoming', blobName, text, { contentType: 'application/json', signal });
  const stored = await blobs.stat('incoming', blobName, { signal });
  return { name, sizeBytes: Buffer.byteLength(text), etag: stored?.etag ?? '', kind: 'images' };
}

function deadlineAt(deadline: NonNullable<EnqueueOptions['deadline']>, now: Date): string {
  return 'at' in deadline ? deadline.at : new Date(now.getTime() + deadline.afterMs).toISOString();
}
