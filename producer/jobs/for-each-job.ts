/** One pass over all jobs, in which an error with one job does not block the others. */
import type { Log } from '../../shared/runtime/log.ts';

export interface JobPassContext {
  readonly log: Log;
  /** What `work` does, for the log. */
  readonly doing: string;
}

/**
 * Calls `work` for each job in turn. If it fails for a job, the error is logged and the job skipped until the next pass. If it
 * fails for every job, the last error is thrown, because the cause is then probably not a single job.
 */
export async function forEachJob<J extends { readonly jobId: string }>(
  jobs: readonly J[],
  work: (job: J) => Promise<void>,
  { log, doing }: JobPassContext,
): Promise<void> {
  const errors: unknown[] = [];
  for (const job of jobs) {
    try {
      await work(job);
    } catch (error) {
      errors.push(error);
      log.warn({ jobId: job.jobId, error, doing }, 'job skipped: will retry on the next pass');
    }
  }
  if (jobs.length > 0 && errors.length === jobs.length) throw errors.at(-1);
}
