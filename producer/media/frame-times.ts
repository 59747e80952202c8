/**
 * PURE. Converts a timeline to timestamps for Matroska clusters: whole nanoseconds, never negative.
 *
 * A source may start below zero, but players do not show that part. In that case the first frame is shifted to zero, and all other
 * tracks by the same amount, so that they stay in sync.
 */
import type { Timeline } from './timeline.ts';

export interface FrameTimes {
  /** How far all tracks are shifted. 0 unless the source starts below zero. */
  readonly shiftMicroseconds: bigint;
  /** Rounded to the nearest nanosecond. Exact in ticks of any time base coarser than 2 ns. */
  readonly nanosecondsAt: (frameIndex: number) => bigint;
}

export function frameTimes({ timeBase, pts }: Timeline): FrameTimes {
  const first = pts[0] ?? 0;
  const shiftTicks = BigInt(first < 0 ? -first : 0);
  const inUnits = (ticks: bigint, unitsPerSecond: bigint): bigint =>
    roundedDivision(ticks * BigInt(timeBase.numerator) * unitsPerSecond, BigInt(timeBase.denominator));
  return {
    shiftMicroseconds: inUnits(shiftTicks, 1_000_000n),
    nanosecondsAt: (frameIndex) => {
      const ticks = pts[frameIndex];
      if (ticks === undefined) throw new RangeError(`the timeline has no frame ${frameIndex}`);
      return inUnits(BigInt(ticks) + shiftTicks, 1_000_000_000n);
    },
  };
}

/** Rounds to the nearest integer, halves up. Both operands must be non-negative. */
function roundedDivision(dividend: bigint, divisor: bigint): bigint {
  return (2n * dividend + divisor) / (2n * divisor);
}
