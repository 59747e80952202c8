/**
 * Measures the frame rate of a job from its statuses, and estimates the time left. PURE.
 *
 * Frames are completed in batches, and workers can complete several batches at once, so the rate between two changes means little.
 * The rate is measured over a window: since the first status at first, and over the last minute later.
 */
import type { JobStatus } from '../../../shared/contract/job.ts';

const WINDOW_MS = 60_000;

interface Sample {
  readonly atMs: number;
  readonly framesDone: number;
}

/** The changes of the number of frames done within the window, oldest first. */
export type Pace = readonly Sample[];

export const NO_PACE: Pace = [];

/** Adds a status. `atMs` is from a monotonic clock. */
export function nextPace(before: Pace, { frames }: Pick<JobStatus, 'frames'>, atMs: number): Pace {
  const framesDone = frames.scored + frames.failed + frames.underway;
  if (before.at(-1)?.framesDone === framesDone) return before;
  const samples = [...before, { atMs, framesDone }];
  // The window starts with the newest sample that is older than a minute. Until there is one, keep all samples.
  const start = samples.findLastIndex((sample) => sample.atMs <= atMs - WINDOW_MS);
  return samples.slice(Math.max(0, start));
}

/** Null until the first frame is done. */
export function framesPerSecond(pace: Pace): number | null {
  const [first, last] = [pace[0], pace.at(-1)];
  if (first === undefined || last === undefined || last.atMs <= first.atMs) return null;
  return ((last.framesDone - first.framesDone) * 1000) / (last.atMs - first.atMs);
}

/** Null if the rate is not known yet, or not positive. */
export function secondsLeft(pace: Pace, framesExpected: number): number | null {
  const rate = framesPerSecond(pace);
  if (rate === null || rate <= 0) return null;
  return Math.max(0, framesExpected - (pace.at(-1)?.framesDone ?? 0)) / rate;
}
