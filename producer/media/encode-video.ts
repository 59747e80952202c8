/**
 * Encodes the result: the scored frames as H.264, at the timestamps of the source, with all other tracks of the source.
 *
 * Guarantees: timestamps exact to one tick of the coarser time base (Matroska: 1 ms); audio copied packet for packet; the same
 * bytes from the same frames (for one machine type and one ffmpeg); bounded memory, because ffmpeg sets the pace; no partial file
 * after a failure; the message of ffmpeg in the error. Checking the result (`assertSameLength`) and publishing it are left to the
 * caller. Overwrites `outputPath`.
 */
import { PermanentError } from '../../shared/runtime/errors.ts';
import { lossesOf } from './copy-plan.ts';
import { type EncodePlan, encodeCommand } from './encode-command.ts';
import { frameTimes } from './frame-times.ts';
import { matroskaFrame, matroskaHeader } from './matroska.ts';
import { type Timeline, typicalFrameSeconds } from './timeline.ts';
import type { WorkableTracks } from './try-tracks.ts';
import { writeResult } from './write-result.ts';

/**
 * libavformat treats a rate of 1,000 or more as a clock rate and gives frames no duration (compute_frame_duration). Players would
 * then not show the last frame, which would start at the end of the file. Slightly longer frames avoid that.
 */
const FRAME_NANOSECONDS_MIN = 1e9 / 999;

export interface EncodeRequest extends EncodePlan {
  /** The tracks besides the video, from `workableTracks`. */
  readonly trackPlan: WorkableTracks;
  /** Summed over all threads of ffmpeg. */
  readonly cpuSecondsMax: number;
  /** JPEGs of one size, one for each timestamp of the timeline. */
  readonly frames: AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal | undefined;
}

/** Returns warnings: first what could not be kept, then those of ffmpeg. Throws MEDIA_TOOL_FAILED, or the error of `frames`. */
export async function encodeVideo(request: EncodeRequest): Promise<{ readonly warnings: readonly string[] }> {
  const { tracks, corrections, warnings: leftOut } = request.trackPlan;
  const command = encodeCommand({ ...request, tracks, corrections });
  const activity = 'stitching the frames into the result';
  const warnings = await writeResult({ ...request, command, activity }, matroskaOf(request));
  return { warnings: [...lossesOf(request), ...leftOut, ...warnings] };
}

async function* matroskaOf(request: EncodeRequest): AsyncGenerator<Uint8Array, void> {
  const { frames, timeline, video, width, height } = request;
  const times = frameTimes(timeline);
  let frameCount = 0;
  const frameNanoseconds = Math.max(typicalFrameSeconds(timeline, video) * 1e9, FRAME_NANOSECONDS_MIN);
  yield matroskaHeader({ width, height, frameNanoseconds });
  for await (const jpeg of frames) {
    if (frameCount === timeline.pts.length) throw countsDiffer(timeline, 'more');
    yield* matroskaFrame(times.nanosecondsAt(frameCount), jpeg);
    frameCount += 1;
  }
  if (frameCount < timeline.pts.length) throw countsDiffer(timeline, String(frameCount));
}

function countsDiffer({ pts }: Timeline, found: string): PermanentError {
  return new PermanentError(
    'MEDIA_TOOL_FAILED',
    `The timeline has ${pts.length} frames, but ${found} were passed to the encoder.`,
    {
      hint: 'Enqueue the video again. The scored frames and the timeline do not belong to the same split.',
    },
  );
}
