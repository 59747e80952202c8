/** Follows a job by its status blob until it has ended. Whoever may read the media account can do this. */
import type { BlobStore } from '../../../shared/azure/blob-store.ts';
import { statusBlob } from '../../../shared/contract/blob-names.ts';
import { type JobStatus, isTerminal, jobStatus } from '../../../shared/contract/job.ts';
import type { Clock } from '../../../shared/runtime/clock.ts';
import { TransientError } from '../../../shared/runtime/errors.ts';

const LOOK_EVERY_MS = 500;

export interface Following {
  readonly blobs: BlobStore;
  readonly jobId: string;
  readonly clock: Clock;
  readonly pickupMs: number;
  readonly onStatus: (status: JobStatus) => void;
  readonly signal: AbortSignal;
}

/** The last status. Throws STORAGE_UNAVAILABLE-like errors of the store, and STACK_FAILED where no producer takes the job. */
export async function follow({
  blobs,
  jobId,
  clock,
  pickupMs,
  onStatus,
  signal,
}: Following): Promise<JobStatus> {
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
        `No producer has taken the job ${jobId} after ${Math.round(pickupMs / 1000)} s.`,
        {
          hint: 'The upload is safe and the job starts when a producer runs: check that it is up and uses the same storage account.',
        },
      );
    }
    await clock.sleep(LOOK_EVERY_MS, signal);
  }
}
