/**
 * Whose batch goes to the queue next. PURE.
 *
 * The queue holds a small window of batches of every job, so a short job never waits behind a long one's hundred thousand
 * frames. Jobs take turns: within the highest priority that has something ready, the one that was served longest ago.
 */
import { PRIORITIES, type Priority } from '../../shared/contract/job.ts';

/** Batches on the queue per engine: one in hand, one waiting. */
const BATCHES_PER_ENGINE = 2;
/** With no engine at work yet, enough for the scaler to see and for the first engines to start on. */
const WINDOW_MIN = 4;

export function windowSize(engines: number): number {
  return Math.max(WINDOW_MIN, BATCHES_PER_ENGINE * engines);
}

export interface Candidate {
  readonly jobId: string;
  readonly priority: Priority;
  readonly batchesReady: number;
  /** Unix ms; 0 for never. */
  readonly lastDispatchedAt: number;
}

/** The job to serve, or undefined where none has a batch ready. */
export function nextInTurn(candidates: readonly Candidate[]): string | undefined {
  const [next] = candidates
    .filter(({ batchesReady }) => batchesReady > 0)
    .toSorted(
      (a, b) =>
        PRIORITIES.indexOf(b.priority) - PRIORITIES.indexOf(a.priority) ||
        a.lastDispatchedAt - b.lastDispatchedAt ||
        (a.jobId < b.jobId ? -1 : 1),
    );
  return next?.jobId;
}
