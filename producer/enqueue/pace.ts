/** How fast a job goes and how long it will take, from its statuses. PURE. */
import type { JobStatus } from '../../shared/contract/job.ts';

/** Weight of the newest interval: follows a change of the fleet within some ten seconds. */
const SMOOTHING = 0.15;

export interface Pace {
  readonly atMs: number;
  readonly framesDone: number;
  readonly framesPerSecond: number | null;
}

export const NO_PACE: Pace = { atMs: 0, framesDone: 0, framesPerSecond: null };

export function nextPace(before: Pace, { frames }: Pick<JobStatus, 'frames'>, atMs: number): Pace {
  const framesDone = frames.scored + frames.failed;
  if (framesDone === 0) return { atMs, framesDone: 0, framesPerSecond: null };
  const seconds = (atMs - before.atMs) / 1000;
  // Several frames arrive with a batch's result: an interval ends with the next one.
  if (framesDone === before.framesDone || seconds <= 0) return before;
  const rate = (framesDone - before.framesDone) / seconds;
  const framesPerSecond =
    before.framesPerSecond === null
      ? rate
      : before.framesPerSecond + SMOOTHING * (rate - before.framesPerSecond);
  return { atMs, framesDone, framesPerSecond };
}

/** Null where nothing can be said yet. */
export function secondsLeft({ framesDone, framesPerSecond }: Pace, framesExpected: number): number | null {
  if (framesPerSecond === null || framesPerSecond <= 0 || framesExpected === 0) return null;
  return Math.max(0, framesExpected - framesDone) / framesPerSecond;
}

/** `1:05`, `2:10:00`. */
export function clockTime(seconds: number): string {
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  const rest = String(whole % 60).padStart(2, '0');
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${rest}` : `${minutes}:${rest}`;
}
