/**
 * PURE. The timeline: when each decoded frame is shown, exactly.
 *
 * It is written by the split and read by the stitch, perhaps of another release: hence the version and the check. Timestamps
 * are the source's own: they may begin anywhere, below zero too, and they strictly increase. In memory and in storage a frame
 * takes 8 bytes (11 as base64), and nothing here makes an object of each: three million frames must not take a gigabyte, or
 * hold up everything else for seconds.
 */
import { z } from 'zod';

import { FRAMES_MAX } from '../../shared/contract/limits.ts';
import { parseJson } from '../../shared/contract/parse-json.ts';
import type { Ratio, VideoInfo } from '../../shared/media/video-info.ts';

export interface Timeline {
  /** Seconds in a tick, as a fraction. */
  readonly timeBase: Ratio;
  /** Ticks, one for each frame, at least one frame. Whole numbers. */
  readonly pts: Float64Array;
}

const positiveInteger = z.number().int().positive();
const storedTimeline = z.object({
  version: z.literal(2),
  timeBase: z.object({ numerator: positiveInteger, denominator: positiveInteger }),
  /** 64-bit floats, little-endian, in base64. */
  pts: z.base64().max(FRAMES_MAX * 12),
});

/** Throws RangeError for what is no timeline: no frame, a time that is no whole number, or times that do not increase. */
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

/** As it stands in storage. */
export function encodeTimeline({ timeBase, pts }: Timeline): string {
  const bytes = Buffer.alloc(pts.length * 8);
  for (const [index, ticks] of pts.entries()) bytes.writeDoubleLE(ticks, index * 8);
  return JSON.stringify({ version: 2, timeBase, pts: bytes.toString('base64') });
}

/** Throws RangeError for what is no timeline of this version. */
export function decodeTimeline(text: string): Timeline {
  const stored = storedTimeline.safeParse(parseJson(text));
  if (!stored.success)
    throw new RangeError(`expected a timeline: ${stored.error.issues[0]?.message ?? 'not valid'}`);
  const bytes = Buffer.from(stored.data.pts, 'base64');
  if (bytes.length % 8 !== 0) throw new RangeError('expected 8 bytes a frame');
  const pts = new Float64Array(bytes.length / 8);
  for (let index = 0; index < pts.length; index += 1) pts[index] = bytes.readDoubleLE(index * 8);
  return checkTimeline({ timeBase: stored.data.timeBase, pts });
}

type Rate = Pick<VideoInfo, 'framesPerSecond'>;

/** Distances between frames that are looked at for the typical one: of a longer video, as many spread over its length. */
const GAPS_MAX = 10_000;

/**
 * How long a frame lasts as a rule; the last one is taken to. The median distance, or one over the average rate where the
 * two agree to a tick: a millisecond clock says 33 where 30 a second mean 33.3. A lone frame: one over the rate.
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

/** From the first frame's start to the last one's end. */
export function durationSeconds(timeline: Timeline, rate: Rate): number {
  const first = timeline.pts[0] ?? 0;
  const last = timeline.pts.at(-1) ?? first;
  return (last - first) * secondsPerTick(timeline) + typicalFrameSeconds(timeline, rate);
}

/** Below this many ticks between frames, a distance of one tick may be meant. */
const TICKS_APART_LEAST = 10;

/**
 * How many frames follow the one before at a single tick though frames are many ticks apart: they had no time of their
 * own (`decodeFrames`). The rate decides how far apart, as a source may have more of these than of others.
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
