/**
 * Checks a stored result against its timeline before its job is completed.
 *
 * Guarantees that the result has one video packet per frame, the duration of the timeline to within one frame, and all audio
 * tracks of the plan. Reads every packet but decodes none, so it does not check what the frames look like.
 */
import { type Hash, createHash } from 'node:crypto';

import { probeStream } from '../../shared/media/probe.ts';
import type { VideoInfo } from '../../shared/media/video-info.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import { type Timeline, durationSeconds, secondsPerTick, typicalFrameSeconds } from './timeline.ts';

/** Headers round durations to the container's tick, which is at most 1 ms. */
const ROUNDING_SECONDS = 0.001;

/** What the result must match. */
export interface ExpectedResult {
  readonly timeline: Timeline;
  /** The rate of the source. */
  readonly framesPerSecond: number;
  /** Audio tracks that the plan keeps. */
  readonly audioTrackCount: number;
}

/** Reads the result once, front to back. Returns its SHA-256. Throws MEDIA_TOOL_FAILED and lists every difference. */
export async function checkResult(
  bytes: AsyncIterable<Uint8Array>,
  expected: ExpectedResult,
): Promise<string> {
  const hash = createHash('sha256');
  const result = await probeStream(hashed(bytes, hash));
  const differences = differencesOf(result, expected);
  if (differences.length === 0) return hash.digest('hex');
  throw new PermanentError(
    'MEDIA_TOOL_FAILED',
    `The result does not match the source: ${differences.join('; ')}.`,
    {
      hint: 'Enqueue the video again. If this error recurs, report it.',
    },
  );
}

async function* hashed(bytes: AsyncIterable<Uint8Array>, hash: Hash): AsyncGenerator<Uint8Array> {
  for await (const piece of bytes) {
    hash.update(piece);
    yield piece;
  }
}

/** PURE. Describes each difference in a phrase. */
export function differencesOf(
  result: Pick<VideoInfo, 'audioTrackCount' | 'durationSeconds'> & { readonly packetCount: number },
  expected: ExpectedResult,
): readonly string[] {
  const { timeline, audioTrackCount } = expected;
  const differences: string[] = [];
  if (result.packetCount !== timeline.pts.length) {
    differences.push(`it has ${result.packetCount} video frames, expected ${timeline.pts.length}`);
  }
  const seconds = durationSeconds(timeline, expected);
  const allowed = lastFrameSecondsMax(timeline, expected) + ROUNDING_SECONDS;
  const found = result.durationSeconds ?? 0;
  if (Math.abs(found - seconds) > allowed) {
    differences.push(`its video track lasts ${found.toFixed(3)} s, expected ${seconds.toFixed(3)} s`);
  }
  if (result.audioTrackCount !== audioTrackCount) {
    differences.push(`it has ${result.audioTrackCount} audio tracks, expected ${audioTrackCount}`);
  }
  return differences;
}

/** No container states the duration of the last frame. It may be a typical one, that of the frame before, or the average. */
function lastFrameSecondsMax(timeline: Timeline, rate: Pick<VideoInfo, 'framesPerSecond'>): number {
  const lastGapTicks = (timeline.pts.at(-1) ?? 0) - (timeline.pts.at(-2) ?? Infinity);
  const lastGapSeconds = lastGapTicks * secondsPerTick(timeline);
  return Math.max(typicalFrameSeconds(timeline, rate), lastGapSeconds, 1 / rate.framesPerSecond);
}
