/** Uploads the video, then its trigger: an incomplete upload never starts a job. */
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
  readonly signal: AbortSignal;
}

/** Returns the job id. */
export async function submit(submission: Submission): Promise<string> {
  const { blobs, options, sourcePath, sourceName, sizeBytes, now, signal } = submission;
  const jobId = newJobId(sourceName, now, randomBytes(3).toString('hex'));
  const etag = await blobs.putFile('incoming', sourceBlob(jobId, sourceName), sourcePath, { signal });
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
