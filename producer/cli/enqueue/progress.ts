/** Shows the progress of a job on standard error: a bar on a terminal, else a line every few seconds. */
import { type SingleBar, barWithLines } from '../../../shared/command/progress-bar.ts';
import { clockTime } from '../../../shared/command/text.ts';
import type { JobStatus } from '../../../shared/contract/job.ts';
import { quoteCommands } from '../../../shared/runtime/quote-commands.ts';
import { stateText } from '../../control/job-words.ts';
import { secondsLeftOf } from '../../control/seconds-left.ts';

const FORMAT = '{phase} [{bar}] {percentage}%  {value}/{total} frames  {pace}';
/** The interval between lines without a terminal. */
const LINE_EVERY_MS = 5_000;

export interface ProgressDisplay {
  /** Prints a line above the bar. */
  say(sentence: string): void;
  status(status: JobStatus, now: Date): void;
  /** Leaves the bar as it is and shows the cursor again. Later lines are printed below the bar. */
  stop(): void;
}

export const NO_PROGRESS: ProgressDisplay = {
  say: () => undefined,
  status: () => undefined,
  stop: () => undefined,
};

export function showProgress(): ProgressDisplay {
  const bars = barWithLines({ format: FORMAT, lineEveryMs: LINE_EVERY_MS });
  let bar: SingleBar | undefined;
  let isHeld = false;
  let isStopped = false;
  const stop = (): void => {
    if (bar !== undefined && !isStopped) bars.stop();
    isStopped = true;
  };
  // The cursor must be visible again, however the command ends.
  process.once('exit', stop);
  const say = (sentence: string): void => {
    const line = `${quoteCommands(sentence)}\n`;
    if (bar === undefined || isStopped) process.stderr.write(line);
    else bars.log(line);
  };
  return {
    say,
    status(status, now) {
      if (status.heldAtCap !== null && !isHeld) say(status.heldAtCap.message);
      isHeld = status.heldAtCap !== null;
      const { expected, scored, failed, underway } = status.frames;
      if (expected === 0 || isStopped) return;
      const left = secondsLeftOf(status, now);
      const speed = status.pace?.framesPerSecond ?? 0;
      const rate = speed === 0 ? '' : `${speed.toFixed(1)} frames/s  `;
      const eta = left === null ? '' : `${clockTime(left)} left`;
      bar ??= bars.create(expected, 0, { phase: '', pace: '' });
      bar.setTotal(expected);
      bar.update(scored + failed + underway, {
        phase: stateText({ status }).padEnd(9),
        pace: isHeld ? '' : `${rate}${eta}`,
      });
    },
    stop,
  };
}
