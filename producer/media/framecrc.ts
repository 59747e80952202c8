/**
 * PURE. Parses exact timestamps from ffmpeg's framecrc output, which has one line per frame:
 *
 *   #tb 0: 1/25000
 *   0,       dts,       pts,  duration,  size, checksum
 *
 * Only stream 0 is allowed. Timestamps are ticks of the time base. Accepts text in chunks of any size and keeps 8 bytes per frame:
 * 24 MB for three million frames.
 */
import type { Ratio } from '../../shared/media/video-info.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import { TickList } from './tick-list.ts';

const TIME_BASE = /^#tb 0: (\d+)\/(\d+)$/;
const FRAME = /^0,\s*(?:-?\d+|NOPTS),\s*(-?\d+),/;
/** A line from ffmpeg has about 70 characters. */
const LINE_CHARACTERS_MAX = 1_024;

export class FramecrcReader {
  #rest = '';
  #timeBase: Ratio | undefined;
  readonly #pts = new TickList();

  /** From the first to the latest timestamp read so far. */
  get spanSeconds(): number {
    const pts = this.#pts.view();
    if (this.#timeBase === undefined || pts.length === 0) return 0;
    const ticks = (pts.at(-1) ?? 0) - (pts[0] ?? 0);
    return (ticks * this.#timeBase.numerator) / this.#timeBase.denominator;
  }

  /** Throws MEDIA_TOOL_FAILED if the text is not framecrc output. */
  push(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > LINE_CHARACTERS_MAX) throw malformed('a line is too long');
    for (const line of lines) this.#take(line);
  }

  /** Returns all timestamps, once the text has ended. Having no frames is not an error. Throws MEDIA_TOOL_FAILED. */
  end(): { readonly timeBase: Ratio; readonly pts: Float64Array } {
    this.#take(this.#rest);
    this.#rest = '';
    if (this.#timeBase === undefined) throw malformed('it has no time base');
    return { timeBase: this.#timeBase, pts: this.#pts.view() };
  }

  #take(line: string): void {
    if (line.startsWith('#')) {
      const [, numerator, denominator] = TIME_BASE.exec(line) ?? [];
      if (numerator === undefined) return;
      const timeBase = { numerator: Number(numerator), denominator: Number(denominator) };
      if (timeBase.numerator < 1 || timeBase.denominator < 1) throw malformed('its time base is zero');
      this.#timeBase = timeBase;
    } else if (line.trim() !== '') {
      const ticks = Number(FRAME.exec(line)?.[1]);
      if (!Number.isSafeInteger(ticks))
        throw malformed(`unexpected line ${JSON.stringify(line.slice(0, 80))}`);
      this.#pts.append(ticks);
    }
  }
}

function malformed(why: string): PermanentError {
  return new PermanentError(
    'MEDIA_TOOL_FAILED',
    `The list of timestamps from ffmpeg cannot be read: ${why}.`,
    {
      hint: 'Check that the disk is not full, and check the ffmpeg version with `ffmpeg -version`. Version 5.1 is tested.',
    },
  );
}
