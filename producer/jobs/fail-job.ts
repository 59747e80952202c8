/** Moves a job that cannot complete to `failed`, with the error that its owner sees. */
import type { Ledger } from '../../shared/redis/ledger.ts';
import { FleetError, describeError } from '../../shared/runtime/errors.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { JobRun } from './steps.ts';

export interface FailJobServices {
  readonly ledger: Ledger;
  readonly log: Log;
}

export async function failJob(
  { ledger, log }: FailJobServices,
  { jobId, epoch }: Pick<JobRun, 'jobId' | 'epoch'>,
  error: unknown,
): Promise<void> {
  const jobError =
    error instanceof FleetError
      ? { code: error.code, message: error.message, hint: error.hint ?? null }
      : {
          code: 'INTERNAL',
          message: `An unexpected error occurred: ${describeError(error)}`,
          hint: 'Check the producer log for this job, then enqueue the video again.',
        };
  if (await ledger.move(jobId, 'failed', { error: jobError, epoch }))
    log.warn({ jobId, ...jobError }, 'job failed');
}
