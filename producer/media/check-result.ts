/**
 * Holds a finished result against its timeline before anyone is given it.
 *
 * Promises: as many pictures as frames, as long as the timeline within one frame, and all tracks of sound. It reads the
 * whole file's packets and decodes none. Leaves to others how the picture looks.
 */
import { countVideoPackets, probeVideo } from '../../shared/media/probe.ts';
import type { VideoInfo } from '../../shared/media/video-info.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import { type Timeline, durationSeconds, secondsPerTick, typicalFrameSeconds } from './timeline.ts';

/** Durations in headers are rounded to the container's tick: at most 1 ms. */
const ROUNDING_SECONDS = 0.001;

/** Throws MEDIA_TOOL_FAILED with every difference found. `video` is the source's. */
export async function assertSameLength({
  resultPath,
  timeline,
  video,
}: {
  readonly resultPath: string;
  readonly timeline: Timeline;
  readonly video: Pick<VideoInfo, 'audioTrackCount' | 'framesPerSecond'>;
}): Promise<void> {
  const result = await probeVideo(resultPath);
  const packetCount = await countVideoPackets(resultPath, result);
  const differences = differencesOf({ result, packetCount, timeline, video });
  if (differences.length === 0) return;
  throw new PermanentError(
    'MEDIA_TOOL_FAILED',
    `The result is not what was asked for: ${differences.join('; ')}.`,
    {
      hint: 'The source and the scored frames are untouched: run the stitch again, and keep this message if it recurs.',
    },
  );
}

/** PURE. What differs, as phrases. */
export function differencesOf({
  result,
  packetCount,
  timeline,
  video,
}: {
  readonly result: Pick<VideoInfo, 'audioTrackCount' | 'durationSeconds'>;
  readonly packetCount: number;
  readonly timeline: Timeline;
  readonly video: Pick<VideoInfo, 'audioTrackCount' | 'framesPerSecond'>;
}): readonly string[] {
  const differences: string[] = [];
  if (packetCount !== timeline.pts.length) {
    differences.push(`it has ${packetCount} pictures for ${timeline.pts.length} frames`);
  }
  const expected = durationSeconds(timeline, video);
  const allowed = lastFrameSecondsMax(timeline, video) + ROUNDING_SECONDS;
  const found = result.durationSeconds ?? 0;
  if (Math.abs(found - expected) > allowed) {
    differences.push(
      `its picture lasts ${found.toFixed(3)} s where the timeline has ${expected.toFixed(3)} s`,
    );
  }
  if (result.audioTrackCount !== video.audioTrackCount) {
    differences.push(
      `it has ${result.audioTrackCount} tracks of sound where the source has ${video.audioTrackCount}`,
    );
  }
  return differences;
}

/** How long the last frame is shown is nobody's knowledge: a typical frame, or as long as the one before it. */
function lastFrameSecondsMax(timeline: Timeline, video: Pick<VideoInfo, 'framesPerSecond'>): number {
  const lastGapTicks = (timeline.pts.at(-1) ?? 0) - (timeline.pts.at(-2) ?? Infinity);
  return Math.max(typicalFrameSeconds(timeline, video), lastGapTicks * secondsPerTick(timeline));
}
