/** The time left of a job, from its status. PURE. */
import type { JobStatus } from '../../shared/contract/job.ts';

/** A status that is older says nothing new: its producer may be gone, or the clocks differ. */
const AGE_SECONDS_MAX = 30;

/** Counts down from when the status was written. Null while it is not known. */
export function secondsLeftOf(
  { pace, updatedAt }: Pick<JobStatus, 'pace' | 'updatedAt'>,
  now: Date,
): number | null {
  if (pace === null) return null;
  const ageSeconds = (now.getTime() - Date.parse(updatedAt)) / 1000;
  return Math.max(0, pace.secondsLeft - Math.min(AGE_SECONDS_MAX, Math.max(0, ageSeconds)));
}
