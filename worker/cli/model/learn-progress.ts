/** Shows the progress of the training on standard error: a bar on a terminal, else a line every few seconds. */
import { singleBar } from '../../../shared/command/progress-bar.ts';
import { clockTime } from '../../../shared/command/text.ts';
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
  const bar = singleBar({ format: FORMAT, lineEveryMs: LINE_EVERY_MS });
  let isShown = false;
  const stop = (): void => {
    if (isShown) bar.stop();
    isShown = false;
  };
  // The cursor must be visible again, however the command ends.
  process.once('exit', stop);
  return {
    update({ share, step, secondsLeft }) {
      const shown = { step, left: clockTime(Math.max(0, secondsLeft)) };
      if (isShown) bar.update(Math.round(share * TOTAL), shown);
      else bar.start(TOTAL, Math.round(share * TOTAL), shown);
      isShown = true;
    },
    stop,
  };
}
