/** Queues the stitch of a job once every frame is scored or given up. Until then no step holds a slot. */
import { type LedgerJob, priorityOf } from '../../shared/redis/ledger-job.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import type { Steps } from './steps.ts';

/** Whether the outcome of every frame is known. */
export function isResolved({
  splitFinished,
  framesSplit,
  framesScored,
  framesFailed,
}: Pick<LedgerJob, 'splitFinished' | 'framesSplit' | 'framesScored' | 'framesFailed'>): boolean {
  return splitFinished && framesScored + framesFailed >= framesSplit;
}

/** Called after each change that may have been the last. A second call changes nothing. */
export async function stitchIfResolved(
  { ledger, steps }: { readonly ledger: Ledger; readonly steps: Steps },
  jobId: string,
): Promise<void> {
  const job = await ledger.job(jobId);
  if (job?.state !== 'running' || !isResolved(job)) return;
  const { splitNumber, definition } = job;
  await steps.add('stitch', { jobId, epoch: definition.epoch, splitNumber }, priorityOf(job));
}
