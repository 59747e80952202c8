/**
 * Decodes a source once, into upright JPEGs and the exact time of each.
 *
 * Promises: every frame that decodes, once, in order, none made up and none dropped to fit a rate; the same bytes each
 * time for a whole file; no more in memory than the consumer's pace asks for; ffmpeg is gone when the iteration ends,
 * however it ends. ffmpeg writes to two places at once (tee): the JPEGs to its stdout, the timestamps to a file in
 * `workDir`, which is removed. Rotation is applied, so the result needs none. Damage in the middle is no error: ffmpeg
 * goes on and says so in the warnings. Leaves to others whether all of it was there (`truncationOf`).
 */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { type FfmpegCommand, addSourceInput, ffmpegCommand, startFfmpeg } from '../../shared/media/ffmpeg.ts';
import type { VideoInfo } from '../../shared/media/video-info.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import { toJpegColour } from './colour.ts';
import { parseFramecrc } from './framecrc.ts';
import { splitMpjpeg } from './mpjpeg.ts';
import { type Timeline, crowdedFrames, timelineSchema } from './timeline.ts';

/** The least loss that ffmpeg's scale of 2 (best) to 31 has; about quality 95 of other encoders. */
const JPEG_QSCALE = 2;
/** Named relative to ffmpeg's working directory: the tee's syntax has no safe place for an arbitrary path. */
const TIMESTAMPS_FILE = 'timestamps.framecrc';

/**
 * Broken recordings hold frames with the time of the one before, which no encoder takes: such a frame comes one tick
 * later. All others keep their time.
 */
const STRICTLY_INCREASING = String.raw`setpts=if(isnan(PREV_OUTPTS)\,PTS\,max(PTS\,PREV_OUTPTS+1))`;

/** A few frames crowded together are a stutter; more would make the video silently shorter. */
const FRAMES_CROWDED = { least: 2, share: 0.02 } as const;

export interface DecodeRequest {
  readonly sourcePath: string;
  readonly video: VideoInfo;
  /** A directory of this decoding alone. */
  readonly workDir: string;
  readonly signal?: AbortSignal | undefined;
  /** Told once, after the last frame, what ffmpeg complained of. */
  readonly onWarnings?: ((warnings: readonly string[]) => void) | undefined;
}

/**
 * Yields JPEGs and returns their timeline. ffmpeg starts with the first `next()`; `return()`, which leaving a `for await`
 * calls, kills it. Throws SOURCE_NO_PICTURE, MEDIA_TOOL_FAILED, PROGRAM_MISSING or the signal's reason.
 */
export async function* decodeFrames(request: DecodeRequest): AsyncGenerator<Buffer, Timeline> {
  const { workDir, signal } = request;
  const stop = new AbortController();
  const ffmpeg = startFfmpeg({
    command: decodeCommand(request),
    doing: 'splitting the source into frames',
    stdin: 'none',
    stdout: 'pipe',
    cwd: workDir,
    signal: signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]),
  });
  const timestampsPath = join(workDir, TIMESTAMPS_FILE);
  let frameCount = 0;
  try {
    for await (const jpeg of splitMpjpeg(ffmpeg.stdout)) {
      frameCount += 1;
      yield jpeg;
    }
    const { warnings } = await ffmpeg.finished;
    if (frameCount === 0) throw noPicture(warnings);
    const timeline = checkedTimeline({
      video: request.video,
      frameCount,
      text: await readFile(timestampsPath, 'utf8'),
    });
    request.onWarnings?.(warnings);
    return timeline;
  } catch (error) {
    // Where the pipe ended by itself, ffmpeg has, and what it says of that comes first.
    if (ffmpeg.stdout.readableEnded) {
      await ffmpeg.finished.catch((cause: unknown) => {
        throw frameCount === 0 && isToolFailure(cause) ? noPicture([cause.message], cause) : cause;
      });
    }
    throw error;
  } finally {
    stop.abort();
    await ffmpeg.finished.catch(() => {});
    await rm(timestampsPath, { force: true });
  }
}

function decodeCommand({ sourcePath, video }: DecodeRequest): FfmpegCommand {
  return (
    addSourceInput(ffmpegCommand(), sourcePath)
      .inputOptions('-copyts')
      .videoFilters(`${STRICTLY_INCREASING},${toJpegColour(video)}`)
      .output(`[f=mpjpeg]pipe:1|[f=framecrc]${TIMESTAMPS_FILE}`)
      .outputOptions('-map', `0:${video.trackIndex}`, '-an', '-sn', '-dn')
      // Each frame as it comes, with the source's own timestamp.
      .outputOptions('-fps_mode', 'passthrough', '-enc_time_base', '-1')
      .outputOptions('-c:v', 'mjpeg', '-q:v', String(JPEG_QSCALE), '-flags', '+bitexact')
      // However many frames are damaged, those that are not are wanted; `truncationOf` judges.
      .outputOptions('-max_error_rate', '1')
      .outputOptions('-f', 'tee')
  );
}

function checkedTimeline({
  video,
  frameCount,
  text,
}: {
  readonly video: VideoInfo;
  readonly frameCount: number;
  readonly text: string;
}): Timeline {
  const timeline = timelineSchema.parse({ version: 1, ...parseFramecrc(text) });
  if (timeline.pts.length !== frameCount) {
    const counts = `${frameCount} pictures and ${timeline.pts.length} timestamps`;
    throw new PermanentError('MEDIA_TOOL_FAILED', `ffmpeg gave ${counts} for the same source.`, {
      hint: 'See whether the disk is full; if it is not, keep this message.',
    });
  }
  const crowded = crowdedFrames(timeline, video);
  if (crowded > Math.max(FRAMES_CROWDED.least, FRAMES_CROWDED.share * frameCount)) {
    throw new PermanentError(
      'SOURCE_NOT_VIDEO',
      `The clock of the source jumps back: ${crowded} frames have no time of their own.`,
      {
        hint: 'It may be several recordings in one file. Give it one clock first: ffmpeg -i FILE -c:v libx264 -crf 12 NEW.mkv',
      },
    );
  }
  return timeline;
}

function isToolFailure(error: unknown): error is PermanentError {
  return error instanceof PermanentError && error.code === 'MEDIA_TOOL_FAILED';
}

function noPicture(said: readonly string[], cause?: unknown): PermanentError {
  const details = said.length === 0 ? '' : ` ffmpeg said: ${said.slice(-2).join(' | ')}`;
  return new PermanentError('SOURCE_NO_PICTURE', `Not one frame of the source could be decoded.${details}`, {
    hint: 'See whether it plays; if it does not, copy or download it again.',
    cause,
  });
}
