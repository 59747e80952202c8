/** Shows the progress of the training on standard error: a bar on a terminal, else a line every few seconds. */
import { Presets, SingleBar } from 'cli-progress';

import type { TrainingProgress } from '../../learn/training.ts';

const FORMAT = 'learning [{bar}] {percentage}%  step {step}  {left} left';
/** The interval between lines without a terminal. */
const LINE_EVERY_MS = 10_000;
/** Positions of the bar. */
const TOTAL = 1000;

export interface LearnProgress {
  update(progress: TrainingProgress): void;
  /** Leaves the bar as it is, and shows the cursor again. */
  stop(): void;
}

export function showLearnProgress(): LearnProgress {
  const bar = new SingleBar(
    {
      format: FORMAT,
      hideCursor: true,
      // `stop` is called in every case.
      gracefulExit: false,
      clearOnComplete: false,
      noTTYOutput: true,
      notTTYSchedule: LINE_EVERY_MS,
      fps: 5,
      stream: process.stderr,
    },
    Presets.shades_classic,
  );
  let isShown = false;
  const stop = (): void => {
    if (isShown) bar.stop();
    isShown = false;
  };
  // The cursor must be visible again, however the command ends.
  process.once('exit', stop);
  return {
    update({ share, step, secondsLeft }) {
      const shown = { step, left: clockTime(secondsLeft) };
      if (isShown) bar.update(Math.round(share * TOTAL), shown);
      else bar.start(TOTAL, Math.round(share * TOTAL), shown);
      isShown = true;
    },
    stop,
  };
}

/** Minutes and seconds. */
function clockTime(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}
