/**
 * Makes the result: the scored frames as H.264, at exactly the source's times, with everything else of the source.
 *
 * Promises: each frame's time within one tick of the coarser time base (Matroska: 1 ms); sound copied packet for
 * packet; the same bytes from the same frames (one machine type, one ffmpeg); a pace set by ffmpeg, not by memory; no
 * partial file after a failure; ffmpeg's own words when it fails. Leaves to others whether the result is right
 * (`assertSameLength`) and putting it in its place (outputPath is overwritten).
 */
import { rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';

import { startFfmpeg } from '../../shared/media/ffmpeg.ts';
import type { ToolProcess } from '../../shared/media/tool-process.ts';
import { PermanentError, errnoOf } from '../../shared/runtime/errors.ts';
import { lossesOf } from './copy-plan.ts';
import { type EncodePlan, encodeCommand } from './encode-command.ts';
import { frameTimes } from './frame-times.ts';
import { matroskaFrame, matroskaHeader } from './matroska.ts';
import { type Timeline, typicalFrameSeconds } from './timeline.ts';
import type { WorkableTracks } from './try-tracks.ts';

/**
 * libavformat takes a rate of 1,000 and more for that of a clock, and gives frames no duration (compute_frame_duration). The last
 * one would then lie behind the end of the file, where players do not show it. So its duration is a little longer there.
 */
const FRAME_NANOSECONDS_MIN = 1e9 / 999;

/** What to encode, and the frames. */
export interface EncodeRequest extends EncodePlan {
  /** The tracks besides the picture: `workableTracks`. */
  readonly trackPlan: WorkableTracks;
  /** Over all threads of ffmpeg. */
  readonly cpuSecondsMax: number;
  /** JPEGs of one size, one for each time of the timeline. */
  readonly frames: AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal | undefined;
}

/** Warnings: what could not be kept, then what ffmpeg said. Throws MEDIA_TOOL_FAILED, or whatever `frames` threw. */
export async function encodeVideo(request: EncodeRequest): Promise<{ readonly warnings: readonly string[] }> {
  const { tracks, corrections, warnings: leftOut } = request.trackPlan;
  const stop = new AbortController();
  const ffmpeg = startFfmpeg({
    command: encodeCommand({ ...request, tracks, corrections }),
    activity: 'stitching the frames into the result',
    stdin: 'pipe',
    stdout: 'none',
    limits: { cpuSecondsMax: request.cpuSecondsMax },
    signal: request.signal === undefined ? stop.signal : AbortSignal.any([request.signal, stop.signal]),
  });
  try {
    await feed(ffmpeg, request);
    const { warnings } = await ffmpeg.finished;
    return { warnings: [...lossesOf(request), ...leftOut, ...warnings] };
  } catch (error) {
    stop.abort(error);
    await ffmpeg.finished.catch(() => {});
    await rm(request.outputPath, { force: true });
    throw error;
  }
}

/** Writes at ffmpeg's pace, and ends early when ffmpeg does, even while the next frame is still awaited. */
async function feed(ffmpeg: ToolProcess<'pipe', 'none'>, request: EncodeRequest): Promise<void> {
  const fed = pipeline(matroskaOf(request), ffmpeg.stdin);
  fed.catch(() => {});
  try {
    await Promise.race([fed, ffmpeg.finished]);
    await fed;
  } catch (error) {
    // A broken pipe is what ffmpeg's end looks like from here; what ffmpeg says of it is the better account.
    if (PIPE_BROKEN.has(errnoOf(error) ?? '')) await ffmpeg.finished;
    throw error;
  }
}

const PIPE_BROKEN = new Set(['EPIPE', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED']);

async function* matroskaOf(request: EncodeRequest): AsyncGenerator<Uint8Array, void> {
  const { frames, timeline, video, width, height } = request;
  const times = frameTimes(timeline);
  let frameCount = 0;
  const frameNanoseconds = Math.max(typicalFrameSeconds(timeline, video) * 1e9, FRAME_NANOSECONDS_MIN);
  yield matroskaHeader({ width, height, frameNanoseconds });
  for await (const jpeg of frames) {
    if (frameCount === timeline.pts.length) throw countsDiffer(timeline, 'more');
    yield* matroskaFrame({ timestampNanoseconds: times.nanosecondsAt(frameCount), jpeg });
    frameCount += 1;
  }
  if (frameCount < timeline.pts.length) throw countsDiffer(timeline, String(frameCount));
}

function countsDiffer({ pts }: Timeline, found: string): PermanentError {
  return new PermanentError(
    'MEDIA_TOOL_FAILED',
    `${found} frames came for the ${pts.length} times of the timeline.`,
    {
      hint: 'Run the job again: its scored frames and its timeline are not of one split.',
    },
  );
}
