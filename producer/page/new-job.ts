/** Makes a job of an upload, after the checks that `enqueue` makes. */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { jobPrefix } from '../../shared/contract/blob-names.ts';
import type { ImageList } from '../../shared/contract/image-list.ts';
import { DEFAULT_SETTINGS, type JobRequest, type JobSettings } from '../../shared/contract/job.ts';
import { type SourceLimits, checkLimits, probeVideo } from '../../shared/media/probe.ts';
import type { VideoInfo } from '../../shared/media/video-info.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import { PermanentError, TransientError } from '../../shared/runtime/errors.ts';
import { checkedMegapixels } from '../control/image-files.ts';
import { putImageList, putTrigger } from '../control/put-job.ts';
import type { JobFolders, StepFolder } from '../jobs/job-folders.ts';
import { resolveModel } from '../jobs/model-catalogue.ts';
import { StepDeferredError } from '../jobs/steps.ts';
import { megapixelsOf } from '../media/contact-sheet.ts';
import type { NewJob } from './contract.ts';
import type { UploadDocument, Uploads } from './uploads.ts';

/** Images whose size is read: they are downloaded for it. */
const SAMPLE_MAX = 4;

export interface NewJobServices {
  readonly blobs: BlobStore;
  readonly uploads: Uploads;
  readonly folders: JobFolders;
  readonly sourceLimits: SourceLimits;
  readonly clock: Clock;
}

/** Returns the id of the job. Throws the errors of `enqueue`. */
export async function startJob(
  services: NewJobServices,
  { uploadId, model, parameters, priority }: NewJob,
  signal: AbortSignal,
): Promise<string> {
  const { blobs, uploads, clock } = services;
  const upload = await uploads.find(uploadId);
  const settings: JobSettings = {
    ...DEFAULT_SETTINGS,
    model: { name: model },
    parameters: { ...parameters },
    priority,
  };
  await resolveModel(blobs, settings);
  const source = await checkedSource(services, upload, signal);
  const { jobId } = upload;
  await putTrigger(blobs, {
    version: 1,
    jobId,
    source,
    ...settings,
    createdAt: clock.now().toISOString(),
  });
  await uploads.forget(jobId);
  return jobId;
}

/** `path` is where the upload is downloaded to. Throws the errors of `probeVideo` and `checkLimits`, with the name of the upload. */
export async function checkedVideo(
  path: string,
  limits: SourceLimits,
  { sourceName }: UploadDocument,
): Promise<VideoInfo> {
  const video = await probeVideo(path, sourceName);
  checkLimits(video, limits);
  return video;
}

/**
 * Disk space to look at the first file of an upload. What is downloaded stays until the job has ended, so that its split finds it. Throws
 * JOB_INVALID if the file is not stored, and NOT_READY if there is no space.
 */
export async function enterFolder(
  { blobs, folders }: Pick<NewJobServices, 'blobs' | 'folders'>,
  upload: UploadDocument,
  bytesWritten: number,
): Promise<StepFolder> {
  const source = await storedFirst(blobs, upload);
  try {
    return await folders.enter({ jobId: upload.jobId, source }, 'page', bytesWritten);
  } catch (error) {
    if (!(error instanceof StepDeferredError)) throw error;
    throw new TransientError('NOT_READY', 'The disk of the producer is full with other jobs.', {
      hint: 'Try again in a few minutes.',
      cause: error,
    });
  }
}

async function checkedSource(
  services: NewJobServices,
  upload: UploadDocument,
  signal: AbortSignal,
): Promise<JobRequest['source']> {
  const { blobs } = services;
  if (upload.kind === 'video') {
    await using folder = await enterFolder(services, upload, 0);
    await checkedVideo(await folder.source(signal), services.sourceLimits, upload);
    return await storedFirst(blobs, upload);
  }
  const { jobId, sourceName } = upload;
  return putImageList(blobs, { jobId, sourceName, list: await storedImages(blobs, upload), signal });
}

/** Throws JOB_INVALID if the upload is not complete. */
async function storedFirst(blobs: BlobStore, upload: UploadDocument): Promise<JobRequest['source']> {
  const [file] = upload.files;
  const stored = file && (await blobs.stat('incoming', file.blobName));
  if (file === undefined || stored?.sizeBytes !== file.sizeBytes) throw incomplete(upload);
  return { name: upload.sourceName, sizeBytes: stored.sizeBytes, etag: stored.etag };
}

/** The images of an upload, and their mean size. Throws JOB_INVALID if the upload is not complete, and the errors of images. */
export async function storedImages(
  blobs: BlobStore,
  upload: UploadDocument,
): Promise<Pick<ImageList, 'images' | 'megapixels'>> {
  const sizeByBlob = new Map(upload.files.map(({ blobName, sizeBytes }) => [blobName, sizeBytes]));
  const etags = new Map<string, string>();
  for await (const { name, etag, sizeBytes } of blobs.list('incoming', { prefix: jobPrefix(upload.jobId) }))
    if (sizeByBlob.get(name) === sizeBytes) etags.set(name, etag);
  if (etags.size < upload.files.length) throw incomplete(upload);
  const every = Math.ceil(upload.files.length / SAMPLE_MAX);
  const megapixels: number[] = [];
  for (const { name, blobName, sizeBytes } of upload.files.filter((_, index) => index % every === 0)) {
    const bytes = await blobs.get('incoming', blobName);
    megapixels.push(checkedMegapixels(name, sizeBytes, bytes && (await megapixelsOf(bytes))));
  }
  return {
    images: upload.files.map(({ name, blobName }) => ({ name, blobName, etag: etags.get(blobName) ?? '' })),
    megapixels: megapixels.reduce((sum, one) => sum + one, 0) / megapixels.length,
  };
}

function incomplete({ jobId }: UploadDocument): PermanentError {
  return new PermanentError('JOB_INVALID', `The upload ${jobId} is not complete.`, {
    hint: 'Wait until all files are uploaded, or choose them again.',
  });
}
