/** What a person sees while a job runs: a bar on a terminal, a line now and then elsewhere. On standard error. */
import { MultiBar, Presets, type SingleBar } from 'cli-progress';

import type { JobStatus } from '../../../shared/contract/job.ts';
import { NO_PACE, type Pace, clockTime, framesPerSecond, nextPace, secondsLeft } from './pace.ts';

const FORMAT = '{phase} [{bar}] {percentage}%  {value}/{total} frames  {pace}';
/** Without a terminal, a line so often. */
const LINE_EVERY_MS = 5_000;

export interface Progress {
  say(sentence: string): void;
  status(status: JobStatus, atMs: number): void;
  /** Leaves the bar as it stands and shows the cursor again. What is said after that is printed below. */
  stop(): void;
}

export const NO_PROGRESS: Progress = { say: () => undefined, status: () => undefined, stop: () => undefined };

export function showProgress(): Progress {
  const bars = new MultiBar(
    {
      format: FORMAT,
      hideCursor: true,
      // It would stop the bar at every signal, and what is said after that would be lost. `stop` is called whatever happens.
      gracefulExit: false,
      clearOnComplete: false,
      noTTYOutput: true,
      notTTYSchedule: LINE_EVERY_MS,
      fps: 5,
      stream: process.stderr,
    },
    Presets.shades_classic,
  );
  let bar: SingleBar | undefined;
  let pace: Pace = NO_PACE;
  let isHeld = false;
  let isStopped = false;
  const stop = (): void => {
    if (bar !== undefined && !isStopped) bars.stop();
    isStopped = true;
  };
  // However the command ends, the terminal has its cursor again.
  process.once('exit', stop);
  const say = (sentence: string): void => {
    if (bar === undefined || isStopped) process.stderr.write(`${sentence}\n`);
    else bars.log(`${sentence}\n`);
  };
  return {
    say,
    status(status, atMs) {
      if (status.heldAtCap !== null && !isHeld) say(status.heldAtCap.message);
      isHeld = status.heldAtCap !== null;
      const { expected, scored, failed } = status.frames;
      if (expected === 0 || isStopped) return;
      pace = nextPace(pace, status, atMs);
      const left = secondsLeft(pace, expected);
      const measured = framesPerSecond(pace);
      const rate = measured === null ? '' : `${measured.toFixed(1)} frames/s`;
      const eta = left === null ? '' : `  ${clockTime(left)} left`;
      bar ??= bars.create(expected, 0, { phase: '', pace: '' });
      bar.setTotal(expected);
      bar.update(scored + failed, { phase: phaseOf(status).padEnd(9), pace: `${rate}${eta}` });
    },
    stop,
  };
}

function phaseOf({ state, frames }: JobStatus): string {
  if (state !== 'running') return state;
  if (frames.scored + frames.failed >= frames.expected) return 'stitching';
  return frames.scored > 0 ? 'scoring' : 'splitting';
}
