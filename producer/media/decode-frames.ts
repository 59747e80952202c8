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
import { type Timeline, timelineSchema } from './timeline.ts';

/** The least loss that ffmpeg's scale of 2 (best) to 31 has; about quality 95 of other encoders. */
const JPEG_QSCALE = 2;
/** Named relative to ffmpeg's working directory: the tee's syntax has no safe place for an arbitrary path. */
const TIMESTAMPS_FILE = 'timestamps.framecrc';

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
    const timeline = checkedTimeline({ frameCount, text: await readFile(timestampsPath, 'utf8') });
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
      .videoFilters(toJpegColour(video))
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
  frameCount,
  text,
}: {
  readonly frameCount: number;
  readonly text: string;
}): Timeline {
  const timeline = timelineSchema.safeParse({ version: 1, ...parseFramecrc(text) });
  if (timeline.success && timeline.data.pts.length === frameCount) return timeline.data;
  const why = timeline.success
    ? `${frameCount} pictures came with ${timeline.data.pts.length} timestamps`
    : timeline.error.issues.map(({ message }) => message).join('; ');
  throw new PermanentError('MEDIA_TOOL_FAILED', `ffmpeg gave frames whose times cannot be used: ${why}.`, {
    hint: 'Put the source into another container first: ffmpeg -fflags +genpts -i FILE -c copy NEW.mkv',
  });
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
