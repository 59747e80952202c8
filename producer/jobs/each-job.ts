/** One pass over jobs: what is wrong with one of them does not keep the others waiting. */
import type { Log } from '../../shared/runtime/log.ts';

/**
 * Calls `work` for each job in turn. A job for which it fails is logged and skipped: the next pass tries it again. Where it fails
 * for every job, the last error is thrown, as the fault is not the jobs'.
 */
export async function eachJob<J extends { readonly jobId: string }>(
  jobs: readonly J[],
  work: (job: J) => Promise<void>,
  { log, doing }: { readonly log: Log; readonly doing: string },
): Promise<void> {
  const errors: unknown[] = [];
  for (const job of jobs) {
    try {
      await work(job);
    } catch (error) {
      errors.push(error);
      log.warn({ jobId: job.jobId, error, doing }, 'job skipped: the next pass tries it again');
    }
  }
  if (jobs.length > 0 && errors.length === jobs.length) throw errors.at(-1);
}
