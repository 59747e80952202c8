/** Uploads the source, then its trigger: an incomplete upload never starts a job. */
import { randomBytes } from 'node:crypto';

import pLimit from 'p-limit';

import type { BlobStore } from '../../../shared/azure/blob-store.ts';
import { imageBlob, sourceBlob, triggerBlob } from '../../../shared/contract/blob-names.ts';
import { IMAGE_LIST_SUFFIX, type ImageList, encodeImageList } from '../../../shared/contract/image-list.ts';
import { type JobRequest, newJobId } from '../../../shared/contract/job.ts';
import { IMAGES_MAX } from '../../../shared/contract/limits.ts';
import { PermanentError } from '../../../shared/runtime/errors.ts';
import type { ResolvedModel } from '../../jobs/model-catalogue.ts';
import type { EnqueueOptions } from './options.ts';
import { type Source, listStoredImages } from './source.ts';

const UPLOADS_AT_ONCE = 8;

export interface Submission {
  readonly blobs: BlobStore;
  readonly options: EnqueueOptions;
  readonly source: Source;
  /** Of the file or folder. */
  readonly sourceName: string;
  /** What the model returns, if that is known. */
  readonly result: ResolvedModel['result'] | undefined;
  readonly now: Date;
  readonly signal: AbortSignal;
}

export interface SubmittedJob {
  readonly jobId: string;
  /** Of still images, by frame. */
  readonly imageNames: readonly string[];
}

export async function submit(submission: Submission): Promise<SubmittedJob> {
  const { blobs, options, source, sourceName, result, now, signal } = submission;
  const { settings, deadline } = options;
  const jobId = newJobId(sourceName, now, randomBytes(3).toString('hex'));
  const uploaded =
    source.kind === 'video'
      ? { source: await uploadVideo(submission, jobId, source), imageNames: [] }
      : await putImages(submission, jobId, source);
  const container = result === 'numbers' ? undefined : (settings.container ?? options.container);
  const request: JobRequest = {
    version: 1,
    jobId,
    source: uploaded.source,
    ...settings,
    ...(source.kind === 'video' && container !== undefined && { container }),
    ...(deadline === undefined ? {} : { deadlineAt: deadlineAt(deadline, now) }),
    createdAt: now.toISOString(),
  };
  await blobs.put('incoming', triggerBlob(jobId), JSON.stringify(request, undefined, 2), {
    contentType: 'application/json',
    signal,
  });
  return { jobId, imageNames: uploaded.imageNames };
}

async function uploadVideo(
  { blobs, sourceName, signal }: Submission,
  jobId: string,
  { path, video }: Extract<Source, { kind: 'video' }>,
): Promise<JobRequest['source']> {
  const etag = await blobs.putFile('incoming', sourceBlob(jobId, sourceName), path, { signal });
  return { name: sourceName, sizeBytes: video.fileSizeBytes, etag };
}

/** Uploads images that are not in storage yet, and the list of all. Throws SOURCE_TOO_LARGE. */
async function putImages(
  submission: Submission,
  jobId: string,
  source: Exclude<Source, { kind: 'video' }>,
): Promise<{ readonly source: JobRequest['source']; readonly imageNames: readonly string[] }> {
  const { blobs, sourceName, signal } = submission;
  let list: Omit<ImageList, 'version'>;
  if (source.kind === 'images') {
    refuseTooMany(source.images.length);
    list = { images: await uploadImages(submission, jobId, source), megapixels: source.megapixels };
  } else {
    list = await listStoredImages(blobs, source.prefix, signal);
    refuseTooMany(list.images.length);
  }
  const name = sourceName + IMAGE_LIST_SUFFIX;
  const blobName = sourceBlob(jobId, name);
  const text = encodeImageList({ version: 1, ...list });
  await blobs.put('incoming', blobName, text, { contentType: 'application/json', signal });
  const stored = await blobs.stat('incoming', blobName, { signal });
  return {
    source: { name, sizeBytes: Buffer.byteLength(text), etag: stored?.etag ?? '', kind: 'images' },
    imageNames: list.images.map((image) => image.name),
  };
}

function refuseTooMany(count: number): void {
  if (count <= IMAGES_MAX) return;
  throw new PermanentError(
    'SOURCE_TOO_LARGE',
    `There are ${count} images; a job takes ${IMAGES_MAX} at most.`,
    { hint: 'Enqueue them in several folders.' },
  );
}

async function uploadImages(
  { blobs, signal }: Submission,
  jobId: string,
  { images }: Extract<Source, { kind: 'images' }>,
): Promise<ImageList['images']> {
  return pLimit(UPLOADS_AT_ONCE).map(images, async ({ name, path }, index) => {
    const blobName = imageBlob(jobId, index);
    return { name, blobName, etag: await blobs.putFile('incoming', blobName, path, { signal }) };
  });
}

function deadlineAt(deadline: NonNullable<EnqueueOptions['deadline']>, now: Date): string {
  return 'at' in deadline ? deadline.at : new Date(now.getTime() + deadline.afterMs).toISOString();
}
