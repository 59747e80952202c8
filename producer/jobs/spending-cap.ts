/**
 * How a job's spending cap limits what the producer sends. PURE.
 *
 *   in flight  frames on the queue or at a worker × average cost per frame so far
 *   may send   spent + in flight < cap
 *   held       spent ≥ cap, and frames remain that are not in flight: the job waits for a higher cap
 *
 * The average cost includes boot and idle time, so it tends to be too high. Before the first frame is scored it is unknown, and
 * one window of batches is sent without an estimate.
 */
import type { JobStatus } from '../../shared/contract/job.ts';
import { type LedgerJob, spendingMaxOf } from '../../shared/redis/ledger-job.ts';

type CappedJob = Pick<
  LedgerJob,
  'jobId' | 'definition' | 'spendingMax' | 'framesExpected' | 'framesScored' | 'framesFailed' | 'batchSize'
> &
  Pick<LedgerJob, 'splitFinished' | 'batchesOutstanding' | 'batchesToSendAgain' | 'state'>;

export function hasCap(job: Pick<LedgerJob, 'definition' | 'spendingMax'>): boolean {
  return spendingMaxOf(job) !== null;
}

/** Whether one more batch may be sent. `spent` is in the currency of the configured prices. */
export function maySendMore(job: CappedJob, spent: number, batchesOutstanding: number): boolean {
  const max = spendingMaxOf(job);
  if (max === null) return true;
  const framesResolved = job.framesScored + job.framesFailed;
  const perFrame = framesResolved === 0 ? 0 : spent / framesResolved;
  return spent + perFrame * batchesOutstanding * (job.batchSize ?? 0) < max;
}

/** The `heldAtCap` field of the job's status: null unless the job is held. */
export function heldAtCap(job: CappedJob, spent: number): JobStatus['heldAtCap'] {
  const max = spendingMaxOf(job);
  if (job.state !== 'running' || max === null || spent < max || !hasUnsent(job)) return null;
  const inFlight = job.batchesOutstanding === 0 ? '' : ' Batches in flight will finish.';
  return {
    spent: rounded(spent),
    spendingMax: max,
    message:
      `The job has reached its spending cap (spent ${rounded(spent)} of ${max}) and is on hold: no more batches are sent.${inFlight}` +
      ` No work is lost. To continue, raise the cap: npm run cap -- ${job.jobId} AMOUNT (more than ${rounded(spent)}, or \`none\` to remove the cap).`,
  };
}

function hasUnsent(job: CappedJob): boolean {
  if (!job.splitFinished || job.batchesToSendAgain > 0) return true;
  const framesLeft = job.framesExpected - job.framesScored - job.framesFailed;
  return framesLeft > job.batchesOutstanding * (job.batchSize ?? 0);
}

/** Two decimals; two significant digits below 0.1. */
function rounded(amount: number): number {
  return amount >= 0.1 ? Math.round(amount * 100) / 100 : Number(amount.toPrecision(2));
}
