/**
 * Which job sends the next batch. PURE.
 *
 * The queue holds only a small window of batches, so a short job never waits behind all frames of a long one. Jobs take turns:
 * among the jobs of the highest priority with a batch ready, the one that was served longest ago is next.
 */
import { PRIORITIES, type Priority } from '../../shared/contract/job.ts';

/** Per engine: one batch in progress, one waiting. */
const BATCHES_PER_ENGINE = 2;
/** Without any engine: enough for the scaler to see a backlog and for the first engines to start on. */
const WINDOW_MIN = 4;

export function windowSize(engines: number): number {
  return Math.max(WINDOW_MIN, BATCHES_PER_ENGINE * engines);
}

export interface TurnCandidate {
  readonly jobId: string;
  readonly priority: Priority;
  readonly batchesReady: number;
  /** Unix ms; 0 for never. */
  readonly lastDispatchedAt: number;
}

/** The id of the job to serve, or undefined if no job has a batch ready. */
export function nextInTurn(candidates: readonly TurnCandidate[]): string | undefined {
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
