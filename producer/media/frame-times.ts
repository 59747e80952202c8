/**
 * PURE. The timeline as Matroska clusters can say it: whole nanoseconds, none below zero.
 *
 * A source may begin below zero, but no container of ours shows what is there. Then the first frame moves to zero, and
 * everything else of the source by as much, so that all tracks keep their distances.
 */
import type { Timeline } from './timeline.ts';

export interface FrameTimes {
  /** How much later all tracks are than in the source: 0, but for one that begins below zero. */
  readonly shiftMicroseconds: bigint;
  /** Of the frame at this index, to the nearest; exact in ticks of any time base coarser than 2 ns. */
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

/** To the nearest, halves up. Neither may be negative. */
function roundedDivision(dividend: bigint, divisor: bigint): bigint {
  return (2n * dividend + divisor) / (2n * divisor);
}
