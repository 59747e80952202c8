/**
 * PURE. The timeline: the exact timestamp of each decoded frame.
 *
 * The split writes it and the stitch, possibly of another release, reads it, so it has a version and is checked. The timestamps are
 * those of the source: they may start anywhere, even below zero, and strictly increase. A frame takes 8 bytes in memory (11 in
 * base64) and no object of its own, so that three million frames neither fill the memory nor block the event loop for seconds.
 */
import { z } from 'zod';

import { FRAMES_MAX } from '../../shared/contract/limits.ts';
import { parseJson } from '../../shared/contract/parse-json.ts';
import type { Ratio, VideoInfo } from '../../shared/media/video-info.ts';

export interface Timeline {
  /** Seconds per tick, as a fraction. */
  readonly timeBase: Ratio;
  /** One timestamp per frame, in whole ticks. Never empty. */
  readonly pts: Float64Array;
}

const positiveInteger = z.number().int().positive();
const storedTimeline = z.object({
  version: z.literal(2),
  timeBase: z.object({ numerator: positiveInteger, denominator: positiveInteger }),
  /** 64-bit floats, little-endian, in base64. */
  pts: z.base64().max(FRAMES_MAX * 12),
});

/** Throws RangeError if there is no frame, a timestamp is not an integer, or timestamps do not increase. */
export function checkTimeline(timeline: Timeline): Timeline {
  const { pts } = timeline;
  if (pts.length === 0) throw new RangeError('expected at least one frame');
  let before = -Infinity;
  for (const ticks of pts) {
    if (!Number.isSafeInteger(ticks)) throw new RangeError(`expected whole ticks, received ${ticks}`);
    if (ticks <= before)
      throw new RangeError(`expected timestamps that increase, received ${ticks} after ${before}`);
    before = ticks;
  }
  return timeline;
}

/** Encodes a timeline for storage. */
export function encodeTimeline({ timeBase, pts }: Timeline): string {
  const bytes = Buffer.alloc(pts.length * 8);
  for (const [index, ticks] of pts.entries()) bytes.writeDoubleLE(ticks, index * 8);
  return JSON.stringify({ version: 2, timeBase, pts: bytes.toString('base64') });
}

/** Throws RangeError if the text is not a timeline of this version. */
export function decodeTimeline(text: string): Timeline {
  const stored = storedTimeline.safeParse(parseJson(text));
  if (!stored.success)
    throw new RangeError(`expected a timeline: ${stored.error.issues[0]?.message ?? 'not valid'}`);
  const bytes = Buffer.from(stored.data.pts, 'base64');
  if (bytes.length % 8 !== 0) throw new RangeError('expected 8 bytes per frame');
  const pts = new Float64Array(bytes.length / 8);
  for (let index = 0; index < pts.length; index += 1) pts[index] = bytes.readDoubleLE(index * 8);
  return checkTimeline({ timeBase: stored.data.timeBase, pts });
}

type Rate = Pick<VideoInfo, 'framesPerSecond'>;

/** How many gaps between frames are sampled for the median. In a longer video they are spread over its length. */
const GAPS_MAX = 10_000;

/**
 * The typical duration of a frame, also used for the last frame. This is the median gap, or the inverse of the average rate if the
 * two agree to within a tick: at 30 frames/s a millisecond clock gives 33 ms, but 33.3 ms is right. For a single frame it is the
 * inverse of the rate.
 */
export function typicalFrameSeconds(timeline: Timeline, { framesPerSecond }: Rate): number {
  const { pts } = timeline;
  const gapCount = pts.length - 1;
  const looked = Math.min(gapCount, GAPS_MAX);
  const gaps = new Float64Array(looked);
  for (let index = 0; index < looked; index += 1) {
    const frameIndex = Math.floor((index * gapCount) / looked);
    gaps[index] = (pts[frameIndex + 1] ?? 0) - (pts[frameIndex] ?? 0);
  }
  const medianTicks = gaps.sort()[Math.floor(looked / 2)];
  const averageTicks = 1 / framesPerSecond / secondsPerTick(timeline);
  const agree = medianTicks === undefined || Math.abs(medianTicks - averageTicks) < 1;
  return (agree ? averageTicks : medianTicks) * secondsPerTick(timeline);
}

/** The time of a frame after the first one, to the microsecond. */
export function secondsAt(timeline: Timeline, frameIndex: number): number {
  const { pts } = timeline;
  const ticks = (pts[frameIndex] ?? Number.NaN) - (pts[0] ?? 0);
  return Number((ticks * secondsPerTick(timeline)).toFixed(6));
}

/** From the start of the first frame to the end of the last one. */
export function durationSeconds(timeline: Timeline, rate: Rate): number {
  const first = timeline.pts[0] ?? 0;
  const last = timeline.pts.at(-1) ?? first;
  return (last - first) * secondsPerTick(timeline) + typicalFrameSeconds(timeline, rate);
}

/** With fewer ticks between frames, a gap of one tick may be intended. */
const TICKS_APART_LEAST = 10;

/**
 * How many frames follow the previous one after a single tick although frames are normally many ticks apart. `decodeFrames` moves
 * frames without their own timestamp this way. The rate gives the normal distance, because most frames may be crowded.
 */
export function crowdedFrames({ timeBase, pts }: Timeline, { framesPerSecond }: Rate): number {
  const ticksApart = 1 / framesPerSecond / secondsPerTick({ timeBase });
  if (ticksApart < TICKS_APART_LEAST) return 0;
  let count = 0;
  for (let index = 1; index < pts.length; index += 1)
    if ((pts[index] ?? 0) - (pts[index - 1] ?? 0) === 1) count += 1;
  return count;
}

export function secondsPerTick({ timeBase }: Pick<Timeline, 'timeBase'>): number {
  return timeBase.numerator / timeBase.denominator;
}
