/**
 * PURE. The timeline as Matroska clusters can say it: whole nanoseconds, none below zero.
 *
 * A source may begin below zero. Then all times are shifted up, and ffmpeg is told to shift them back; the shift is a
 * whole number of microseconds, since that is what ffmpeg's -itsoffset can say exactly.
 */
import type { Timeline } from './timeline.ts';

export interface FrameTimes {
  /** To be added to all times to get the source's: 0, or negative. */
  readonly offsetMicroseconds: bigint;
  /** Of the frame at this index, to the nearest; exact in ticks of any time base coarser than 2 ns. */
  readonly nanosecondsAt: (frameIndex: number) => bigint;
}

export function frameTimes({ timeBase, pts }: Timeline): FrameTimes {
  const numerator = BigInt(timeBase.numerator);
  const denominator = BigInt(timeBase.denominator);
  const first = BigInt(pts[0] ?? 0);
  const shiftMicroseconds = first < 0n ? ceilDivide(-first * numerator * 1_000_000n, denominator) : 0n;
  return {
    offsetMicroseconds: -shiftMicroseconds,
    nanosecondsAt: (frameIndex) => {
      const ticks = pts[frameIndex];
      if (ticks === undefined) throw new RangeError(`the timeline has no frame ${frameIndex}`);
      const shifted = BigInt(ticks) * numerator * 1_000_000_000n + shiftMicroseconds * 1000n * denominator;
      return (2n * shifted + denominator) / (2n * denominator);
    },
  };
}

function ceilDivide(dividend: bigint, divisor: bigint): bigint {
  return (dividend + divisor - 1n) / divisor;
}
