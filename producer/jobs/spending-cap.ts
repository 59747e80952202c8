/**
 * What a job's cap on its cost means for the producer. PURE.
 *
 *   in flight  frames on the queue or at a worker × what a frame has cost so far
 *   may send   spent + in flight < cap
 *   held       spent ≥ cap, and frames are left that are not in flight: the job waits for a higher cap
 *
 * A frame's cost so far includes boots and idle time, so it errs on the dear side. Before the first frame is scored it is not known,
 * and one window of batches is sent on trust.
 */
import type { JobStatus } from '../../shared/contract/job.ts';
import { type LedgerJob, spendingMaxOf } from '../../shared/redis/ledger-job.ts';

type Counted = Pick<
  LedgerJob,
  'jobId' | 'definition' | 'spendingMax' | 'framesExpected' | 'framesScored' | 'framesFailed' | 'batchSize'
> &
  Pick<LedgerJob, 'splitFinished' | 'batchesOutstanding' | 'batchesToSendAgain' | 'state'>;

export function hasCap(job: Pick<LedgerJob, 'definition' | 'spendingMax'>): boolean {
  return spendingMaxOf(job) !== null;
}

/** Whether one more batch may go to the queue. `spent` is in the currency of the prices. */
export function maySendMore(job: Counted, spent: number, batchesOutstanding: number): boolean {
  const max = spendingMaxOf(job);
  if (max === null) return true;
  const framesResolved = job.framesScored + job.framesFailed;
  const perFrame = framesResolved === 0 ? 0 : spent / framesResolved;
  return spent + perFrame * batchesOutstanding * (job.batchSize ?? 0) < max;
}

/** What the job's status says of it, or null. */
export function heldAtCap(job: Counted, spent: number): JobStatus['heldAtCap'] {
  const max = spendingMaxOf(job);
  if (job.state !== 'running' || max === null || spent < max || !hasUnsent(job)) return null;
  const inFlight = job.batchesOutstanding === 0 ? '' : ' What is in flight is finished.';
  return {
    spent: rounded(spent),
    spendingMax: max,
    message:
      `The job has spent ${rounded(spent)} of the ${max} it may, and is held: no more of it is sent to the fleet.${inFlight}` +
      ` Nothing is lost. To go on: npm run cap -- ${job.jobId} AMOUNT (more than ${rounded(spent)}, or none for no cap).`,
  };
}

function hasUnsent(job: Counted): boolean {
  if (!job.splitFinished || job.batchesToSendAgain > 0) return true;
  const framesLeft = job.framesExpected - job.framesScored - job.framesFailed;
  return framesLeft > job.batchesOutstanding * (job.batchSize ?? 0);
}

/** To a hundredth, and small amounts to two digits. */
function rounded(amount: number): number {
  return amount >= 0.1 ? Math.round(amount * 100) / 100 : Number(amount.toPrecision(2));
}
