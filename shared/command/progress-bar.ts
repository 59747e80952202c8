/** Progress bars on standard error, alike in every command: on a terminal a bar, else a line now and then. The only file that imports cli-progress. */
import { MultiBar, Presets, SingleBar } from 'cli-progress';

export type { MultiBar, SingleBar };

export interface BarOptions {
  readonly format: string;
  /** The interval between lines without a terminal. */
  readonly lineEveryMs: number;
}

/** A bar below lines of text. Stop it in every case: the cursor is hidden until then. */
export function barWithLines(options: BarOptions): MultiBar {
  return new MultiBar(settings(options), Presets.shades_classic);
}

/** Stop it in every case: the cursor is hidden until then. */
export function singleBar(options: BarOptions): SingleBar {
  return new SingleBar(settings(options), Presets.shades_classic);
}

function settings({ format, lineEveryMs }: BarOptions) {
  return {
    format,
    hideCursor: true,
    // A graceful exit would stop the bar on every signal, and lose later lines.
    gracefulExit: false,
    clearOnComplete: false,
    noTTYOutput: true,
    notTTYSchedule: lineEveryMs,
    fps: 5,
    stream: process.stderr,
  };
}
