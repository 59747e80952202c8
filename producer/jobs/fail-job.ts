/** Ends a job that cannot be completed, with the sentence its owner will read. */
import type { Ledger } from '../../shared/redis/ledger.ts';
import { FleetError, describeError } from '../../shared/runtime/errors.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { StepJob } from './steps.ts';

export async function failJob(
  { ledger, log }: { readonly ledger: Ledger; readonly log: Log },
  { jobId, epoch }: StepJob,
  error: unknown,
): Promise<void> {
  const reason =
    error instanceof FleetError
      ? { code: error.code, message: error.message, hint: error.hint ?? null }
      : {
          code: 'INTERNAL',
          message: `Something went wrong that should not have: ${describeError(error)}`,
          hint: 'Look at the log of the producer for this job, then enqueue the video again.',
        };
  if (await ledger.move(jobId, 'failed', { error: reason, epoch }))
    log.warn({ jobId, ...reason }, 'job failed');
}
