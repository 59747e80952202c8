/**
 * PURE. Reads the exact timestamps out of ffmpeg's framecrc, which has a line for each frame:
 *
 *   #tb 0: 1/25000
 *   0,       dts,       pts,  duration,  size, checksum
 *
 * Only stream 0 may be there. Timestamps are ticks of the time base.
 */
import { PermanentError } from '../../shared/runtime/errors.ts';

export interface FrameTimestamps {
  readonly timeBase: { readonly numerator: number; readonly denominator: number };
  readonly pts: readonly number[];
}

const TIME_BASE = /^#tb 0: (\d+)\/(\d+)$/;
const FRAME = /^0,\s*(?:-?\d+|NOPTS),\s*(-?\d+),/;

/** Throws MEDIA_TOOL_FAILED. No frames at all are fine, and give no timestamps. */
export function parseFramecrc(text: string): FrameTimestamps {
  let timeBase: FrameTimestamps['timeBase'] | undefined;
  const pts: number[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) {
      const [, numerator, denominator] = TIME_BASE.exec(line) ?? [];
      if (numerator !== undefined)
        timeBase = { numerator: Number(numerator), denominator: Number(denominator) };
    } else if (line.trim() !== '') {
      const ticks = Number(FRAME.exec(line)?.[1]);
      if (!Number.isSafeInteger(ticks)) throw malformed(`a line is ${JSON.stringify(line.slice(0, 80))}`);
      pts.push(ticks);
    }
  }
  if (timeBase === undefined || timeBase.numerator < 1 || timeBase.denominator < 1) {
    throw malformed('it names no time base');
  }
  return { timeBase, pts };
}

function malformed(why: string): PermanentError {
  return new PermanentError(
    'MEDIA_TOOL_FAILED',
    `The list of timestamps from ffmpeg cannot be read: ${why}.`,
    {
      hint: 'See whether the disk is full, and which ffmpeg is installed (ffmpeg -version; tried with 5.1).',
    },
  );
}
