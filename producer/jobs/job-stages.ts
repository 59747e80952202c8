/** The stages of a job: those that have begun or ended by now, and at the end, how fast split and join were. */
import { isTerminal } from '../../shared/contract/job.ts';
import type { SourcePlan } from '../../shared/contract/source-plan.ts';
import type { JobMarks, JobTimesSoFar } from '../../shared/redis/job-times.ts';
import type { LedgerJob } from '../../shared/redis/ledger-job.ts';
import type { WorkKind, WorkRates } from '../../shared/redis/work-rates.ts';
import { END_SECONDS, SPLIT_START_SECONDS } from './fixed-times.ts';
import { isResolved } from './stitch-when-resolved.ts';

const SPLIT_KINDS: Readonly<Record<SourcePlan['pieces']['kind'], WorkKind>> = {
  cut: 'split:cut',
  decoded: 'split:decode',
  images: 'split:images',
};

/** What is to be noted of a job now, unless it is noted already. PURE. */
export function marksOf(job: LedgerJob, nowMs: number): JobMarks {
  const { state, splitFinished, nextBatch, batchesOutstanding } = job;
  if (state === 'waiting') return {};
  return {
    ...(!isTerminal(state) && { splittingSinceMs: nowMs }),
    ...(splitFinished && { splitAtMs: nowMs }),
    ...((nextBatch > 0 || batchesOutstanding > 0) && {
      scoringSinceMs: nowMs,
      framesBefore: job.framesScored + job.framesFailed,
    }),
    ...(isResolved(job) && { scoredAtMs: nowMs }),
  };
}

export interface EndedStages {
  readonly job: LedgerJob;
  readonly times: JobTimesSoFar;
  readonly splitKind: SourcePlan['pieces']['kind'] | undefined;
  readonly nowMs: number;
}

/** Times of a job that was paused or split again say nothing about speed. */
export async function recordStageRates(
  workRates: WorkRates,
  { job, times, splitKind, nowMs }: EndedStages,
): Promise<void> {
  const { splittingSinceMs, splitAtMs, scoredAtMs } = times;
  if (job.pauses > 0 || job.splitNumber > 1) return;
  const megapixels = job.framesExpected * job.megapixelsPerFrame;
  if (splitKind !== undefined && splittingSinceMs !== undefined && splitAtMs !== undefined)
    await workRates.record(
      SPLIT_KINDS[splitKind],
      megapixels,
      (splitAtMs - splittingSinceMs) / 1000 - SPLIT_START_SECONDS,
    );
  if (scoredAtMs !== undefined)
    await workRates.record('join', megapixels, (nowMs - scoredAtMs) / 1000 - END_SECONDS);
}
