/** Uploads the source, then its trigger: an incomplete upload never starts a job. */
import { randomBytes } from 'node:crypto';

import pLimit from 'p-limit';

import type { BlobStore } from '../../../shared/azure/blob-store.ts';
import { imageBlob, sourceBlob } from '../../../shared/contract/blob-names.ts';
import type { ImageList } from '../../../shared/contract/image-list.ts';
import { type JobRequest, newJobId } from '../../../shared/contract/job.ts';
import { refuseTooManyImages } from '../../control/image-files.ts';
import { putImageList, putTrigger } from '../../control/put-job.ts';
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
  await putTrigger(blobs, request, signal);
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
    refuseTooManyImages(source.images.length);
    list = { images: await uploadImages(submission, jobId, source), megapixels: source.megapixels };
  } else {
    list = await listStoredImages(blobs, source.prefix, signal);
    refuseTooManyImages(list.images.length);
  }
  const listed = await putImageList(blobs, { jobId, sourceName, list, signal });
  return { source: listed, imageNames: list.images.map((image) => image.name) };
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
