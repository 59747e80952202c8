/**
 * PURE. The timeline: when each decoded frame is shown, exactly, and whether all of the source is there.
 *
 * It is written at the split and read at the stitch, perhaps by another release: hence the version and the schema.
 * Timestamps are the source's own: they may begin anywhere, below zero too, and they strictly increase.
 */
import { z } from 'zod';

import type { VideoInfo } from '../../shared/media/video-info.ts';

const positiveInteger = z.number().int().positive();

export const timelineSchema = z.object({
  version: z.literal(1),
  /** Seconds in a tick, as a fraction. */
  timeBase: z.object({ numerator: positiveInteger, denominator: positiveInteger }),
  /** Ticks, one for each frame. */
  pts: z
    .array(z.number().int())
    .min(1)
    .refine((pts) => pts.every((ticks, index) => index === 0 || ticks > (pts[index - 1] ?? Infinity)), {
      error: 'timestamps must strictly increase',
    }),
});
export type Timeline = z.infer<typeof timelineSchema>;

type Rate = Pick<VideoInfo, 'framesPerSecond'>;

/**
 * How long a frame lasts as a rule; the last one is taken to. The median distance, or one over the average rate where the
 * two agree to a tick: a millisecond clock says 33 where 30 a second mean 33.3. A lone frame: one over the rate.
 */
export function typicalFrameSeconds(timeline: Timeline, { framesPerSecond }: Rate): number {
  const gaps = gapsOf(timeline.pts).sort((a, b) => a - b);
  const medianTicks = gaps[Math.floor(gaps.length / 2)];
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
export function crowdedFrames(timeline: Timeline, { framesPerSecond }: Rate): number {
  const ticksApart = 1 / framesPerSecond / secondsPerTick(timeline);
  return ticksApart < TICKS_APART_LEAST ? 0 : gapsOf(timeline.pts).filter((ticks) => ticks === 1).length;
}

export function secondsPerTick({ timeBase }: Timeline): number {
  return timeBase.numerator / timeBase.denominator;
}

/** A decoder may drop a frame or two at the ends; a share allows for tables that are a little off. */
const FRAMES_SHORT = { least: 2, share: 0.02 } as const;
/** A duration in a header is rounded, and the sound may last a little longer than the picture. */
const SECONDS_SHORT = { least: 1, share: 0.05 } as const;

/**
 * How much of the source is missing, as a phrase about it, or undefined where it is all there.
 *
 * Where the container counts its frames, the count decides (less what an edit list hides); else the time it declares.
 * A container that declares nothing is believed.
 */
export function truncationOf({
  timeline,
  video,
}: {
  readonly timeline: Timeline;
  readonly video: Pick<
    VideoInfo,
    'framesPerSecond' | 'frameCountDeclared' | 'frameCountEstimated' | 'durationSeconds'
  >;
}): string | undefined {
  const decoded = timeline.pts.length;
  if (video.frameCountDeclared !== undefined) {
    const expected = video.frameCountEstimated ?? video.frameCountDeclared;
    const missing = expected - decoded;
    const allowed = Math.max(FRAMES_SHORT.least, FRAMES_SHORT.share * expected);
    return missing > allowed
      ? `it declares ${expected} frames, but only ${decoded} could be decoded`
      : undefined;
  }
  if (video.durationSeconds === undefined) return undefined;
  const reached = durationSeconds(timeline, video);
  const missing = video.durationSeconds - reached;
  const allowed = Math.max(SECONDS_SHORT.least, SECONDS_SHORT.share * video.durationSeconds);
  return missing > allowed
    ? `it declares ${seconds(video.durationSeconds)}, but its picture ends after ${seconds(reached)}`
    : undefined;
}

function seconds(value: number): string {
  return `${value.toFixed(2)} s`;
}

function gapsOf(pts: readonly number[]): number[] {
  return pts.slice(1).map((ticks, index) => ticks - (pts[index] ?? ticks));
}
