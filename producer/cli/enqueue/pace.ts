/**
 * How fast a job goes and how long it will take, from its statuses. PURE.
 *
 * Frames arrive a batch at a time, and several batches at once where workers go in step: a rate between two arrivals says
 * nothing. So it is taken over a window: from the first status, when nothing was done, and later over the last minute.
 */
import type { JobStatus } from '../../../shared/contract/job.ts';

const WINDOW_MS = 60_000;

interface Sample {
  readonly atMs: number;
  readonly framesDone: number;
}

/** Changes of the number of frames done, oldest first: the first is the start of the window. */
export type Pace = readonly Sample[];

export const NO_PACE: Pace = [];

/** A status seen at a time, in ms that never jump. */
export function nextPace(before: Pace, { frames }: Pick<JobStatus, 'frames'>, atMs: number): Pace {
  const framesDone = frames.scored + frames.failed;
  if (before.at(-1)?.framesDone === framesDone) return before;
  const samples = [...before, { atMs, framesDone }];
  // The newest sample that is older than the window starts it; the first samples stay until there is one.
  const start = samples.findLastIndex((sample) => sample.atMs <= atMs - WINDOW_MS);
  return samples.slice(Math.max(0, start));
}

/** Over the window; null where nothing has been done yet. */
export function framesPerSecond(pace: Pace): number | null {
  const [first, last] = [pace[0], pace.at(-1)];
  if (first === undefined || last === undefined || last.atMs <= first.atMs) return null;
  return ((last.framesDone - first.framesDone) * 1000) / (last.atMs - first.atMs);
}

/** Null where nothing can be said yet. */
export function secondsLeft(pace: Pace, framesExpected: number): number | null {
  const rate = framesPerSecond(pace);
  if (rate === null || rate <= 0) return null;
  return Math.max(0, framesExpected - (pace.at(-1)?.framesDone ?? 0)) / rate;
}

/** `1:05`, `2:10:00`. */
export function clockTime(seconds: number): string {
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  const rest = String(whole % 60).padStart(2, '0');
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${rest}` : `${minutes}:${rest}`;
}
