/**
 * Checks a finished result against its timeline before it is published.
 *
 * Promises: as many pictures as frames, as long as the timeline within one frame, and the tracks of sound that were to be
 * kept. It reads the whole file's packets and decodes none, so it does not judge how the picture looks.
 */
import { countVideoPackets, probeVideo } from '../../shared/media/probe.ts';
import type { VideoInfo } from '../../shared/media/video-info.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import { type Timeline, durationSeconds, secondsPerTick, typicalFrameSeconds } from './timeline.ts';

/** Durations in headers are rounded to the container's tick: at most 1 ms. */
const ROUNDING_SECONDS = 0.001;

/** What the result is held against. */
export interface ExpectedResult {
  readonly timeline: Timeline;
  /** Of the source. */
  readonly framesPerSecond: number;
  /** Tracks of sound that the plan keeps. */
  readonly soundTrackCount: number;
}

/** Throws MEDIA_TOOL_FAILED with every difference found. */
export async function assertSameLength(resultPath: string, expected: ExpectedResult): Promise<void> {
  const result = await probeVideo(resultPath);
  const packetCount = await countVideoPackets(resultPath, result);
  const differences = differencesOf({ ...result, packetCount }, expected);
  if (differences.length === 0) return;
  throw new PermanentError(
    'MEDIA_TOOL_FAILED',
    `The result is not what was asked for: ${differences.join('; ')}.`,
    {
      hint: 'The source and the scored frames are unchanged. Enqueue the video again; if the message recurs, report it.',
    },
  );
}

/** PURE. What differs, as phrases. */
export function differencesOf(
  result: Pick<VideoInfo, 'audioTrackCount' | 'durationSeconds'> & { readonly packetCount: number },
  expected: ExpectedResult,
): readonly string[] {
  const { timeline, soundTrackCount } = expected;
  const differences: string[] = [];
  if (result.packetCount !== timeline.pts.length) {
    differences.push(`it has ${result.packetCount} pictures for ${timeline.pts.length} frames`);
  }
  const seconds = durationSeconds(timeline, expected);
  const allowed = lastFrameSecondsMax(timeline, expected) + ROUNDING_SECONDS;
  const found = result.durationSeconds ?? 0;
  if (Math.abs(found - seconds) > allowed) {
    differences.push(
      `its picture lasts ${found.toFixed(3)} s where the timeline has ${seconds.toFixed(3)} s`,
    );
  }
  if (result.audioTrackCount !== soundTrackCount) {
    differences.push(
      `it has ${result.audioTrackCount} tracks of sound where ${soundTrackCount} were to be kept`,
    );
  }
  return differences;
}

/** No file says how long its last frame is shown: a typical frame, or as long as the one before it. */
function lastFrameSecondsMax(timeline: Timeline, rate: Pick<VideoInfo, 'framesPerSecond'>): number {
  const lastGapTicks = (timeline.pts.at(-1) ?? 0) - (timeline.pts.at(-2) ?? Infinity);
  return Math.max(typicalFrameSeconds(timeline, rate), lastGapTicks * secondsPerTick(timeline));
}
