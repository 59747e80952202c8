/** Follows a job by its status blob until it has ended. Needs only read access to the media account. */
import type { BlobStore } from '../../../shared/azure/blob-store.ts';
import { statusBlob } from '../../../shared/contract/blob-names.ts';
import { type JobStatus, isTerminal, jobStatus } from '../../../shared/contract/job.ts';
import type { Clock } from '../../../shared/runtime/clock.ts';
import { TransientError } from '../../../shared/runtime/errors.ts';

const POLL_MS = 500;

export interface FollowOptions {
  readonly blobs: BlobStore;
  readonly jobId: string;
  readonly clock: Clock;
  readonly pickupMs: number;
  readonly onStatus: (status: JobStatus) => void;
  readonly signal: AbortSignal;
}

/** Returns the last status. Throws STACK_FAILED if no producer accepts the job within `pickupMs`. */
export async function follow(options: FollowOptions): Promise<JobStatus> {
  const { blobs, jobId, clock, pickupMs, onStatus, signal } = options;
  const giveUpAtMs = clock.monotonicMs() + pickupMs;
  for (;;) {
    const bytes = await blobs.get('results', statusBlob(jobId), { signal });
    if (bytes !== undefined) {
      const status = jobStatus.parse(JSON.parse(bytes.toString('utf8')));
      onStatus(status);
      if (isTerminal(status.state)) return status;
    } else if (clock.monotonicMs() > giveUpAtMs) {
      throw new TransientError(
        'STACK_FAILED',
        `No producer accepted the job ${jobId} within ${Math.round(pickupMs / 1000)} s.`,
        {
          hint: 'The video is uploaded, and the job starts when a producer does. Check that a producer runs and uses the same storage account.',
        },
      );
    }
    await clock.sleep(POLL_MS, signal);
  }
}
