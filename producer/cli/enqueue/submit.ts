/** Uploads the video and then, last, its trigger: half an upload never starts a job. */
import { randomBytes } from 'node:crypto';

import type { BlobStore } from '../../../shared/azure/blob-store.ts';
import { sourceBlob, triggerBlob } from '../../../shared/contract/blob-names.ts';
import { type JobRequest, newJobId } from '../../../shared/contract/job.ts';
import type { EnqueueOptions } from './options.ts';

export interface Submission {
  readonly blobs: BlobStore;
  readonly options: EnqueueOptions;
  readonly sourcePath: string;
  readonly sourceName: string;
  readonly sizeBytes: number;
  readonly now: Date;
  readonly onUploaded: (bytes: number) => void;
  readonly signal: AbortSignal;
}

/** Returns the id of the job. */
export async function submit({
  blobs,
  options,
  sourcePath,
  sourceName,
  sizeBytes,
  now,
  onUploaded,
  signal,
}: Submission): Promise<string> {
  const jobId = newJobId(sourceName, now, randomBytes(3).toString('hex'));
  const etag = await blobs.putFile('incoming', sourceBlob(jobId, sourceName), sourcePath, {
    onProgress: onUploaded,
    signal,
  });
  const request: JobRequest = {
    version: 1,
    jobId,
    source: { name: sourceName, sizeBytes, etag },
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

function deadlineAt(deadline: NonNullable<EnqueueOptions['deadline']>, now: Date): string {
  return 'at' in deadline ? deadline.at : new Date(now.getTime() + deadline.afterMs).toISOString();
}
