/**
 * Decodes a source once, into upright JPEGs and the exact timestamp of each frame.
 *
 * Guarantees: every frame that decodes appears once, in order, and no frame is duplicated or dropped to fit a rate; the same file
 * gives the same bytes; memory use is bounded by the consumer's pace plus 8 bytes per frame; limits are enforced during decoding,
 * whatever the header claims; no ffmpeg process is left after the iteration, even after an error.
 *
 * ffmpeg writes JPEGs to stdout and timestamps to `pipe:3` (tee) and applies the rotation. Minor damage is concealed by ffmpeg and
 * reported as warnings; `refuseLoss` rejects a source that loses more than a few frames.
 */
import type { Readable } from 'node:stream';

import { toJpegColour } from '../../shared/media/colour.ts';
import { type FfmpegCommand, addSourceInput, ffmpegCommand, startFfmpeg } from '../../shared/media/ffmpeg.ts';
import {
  type SourceLimits,
  countVideoPackets,
  tooLargeError,
  tooLongError,
} from '../../shared/media/probe.ts';
import { isToolFailure } from '../../shared/media/tool-process.ts';
import type { VideoInfo } from '../../shared/media/video-info.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import { FramecrcReader } from './framecrc.ts';
import { splitMpjpeg } from './mpjpeg.ts';
import { type Timeline, checkTimeline, crowdedFrames } from './timeline.ts';

/** The best quality on ffmpeg's scale of 2 to 31; about quality 95 of other encoders. */
export const JPEG_QSCALE = 2;

/**
 * Damaged recordings contain frames with the timestamp of the previous frame, which no encoder accepts. Such a frame is moved one
 * tick later. All other frames keep their timestamps.
 */
const STRICTLY_INCREASING = String.raw`setpts=if(isnan(PREV_OUTPTS)\,PTS\,max(PTS\,PREV_OUTPTS+1))`;

/**
 * How many crowded or lost frames are tolerated. A few are a stutter, or frames that the decoder drops at the edge of a damaged
 * part. More would make the video silently shorter.
 */
const A_FEW_FRAMES = { least: 2, share: 0.02 } as const;

/** Time limit for one frame. The largest frame takes a decoder a few seconds. */
const STALLED_MS = 300_000;

export interface DecodeLimits extends Pick<SourceLimits, 'framesMax' | 'durationSecondsMax'> {
  /** From the first request to the last frame, including the consumer's time. */
  readonly wallSecondsMax: number;
  /** Summed over all threads of ffmpeg. */
  readonly cpuSecondsMax: number;
}

export interface DecodeRequest {
  readonly sourcePath: string;
  readonly video: VideoInfo;
  readonly limits: DecodeLimits;
  readonly signal?: AbortSignal | undefined;
  /** Called once, after the last frame, with the warnings from ffmpeg. */
  readonly onWarnings?: ((warnings: readonly string[]) => void) | undefined;
}

/**
 * Yields JPEGs and returns their timeline. The first `next()` starts ffmpeg; `return()`, which is called on leaving a `for await`
 * loop, kills it. Throws SOURCE_NO_PICTURE, SOURCE_TOO_LARGE, SOURCE_TRUNCATED, SOURCE_NOT_VIDEO, MEDIA_TOOL_FAILED,
 * PROGRAM_MISSING or the signal's reason.
 */
export async function* decodeFrames(request: DecodeRequest): AsyncGenerator<Buffer, Timeline> {
  const { sourcePath, video, limits, signal } = request;
  const stop = new AbortController();
  const ffmpeg = startFfmpeg({
    command: decodeCommand(request),
    activity: 'splitting the source into frames',
    stdin: 'none',
    stdout: 'pipe',
    sideOutput: 'pipe',
    limits: { cpuSecondsMax: limits.cpuSecondsMax },
    signal: signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]),
  });
  const times = new FramecrcReader();
  const timesRead = readTimes(times, ffmpeg.sideOutput, limits);
  // An error in the timestamps stops decoding at once rather than at the next frame.
  timesRead.catch((error: unknown) => stop.abort(error));
  using _wall = after(limits.wallSecondsMax * 1_000, () => stop.abort(tookTooLong(limits)));
  let frameCount = 0;
  try {
    for await (const jpeg of splitMpjpeg(watched(ffmpeg.stdout, () => stop.abort(stalled())))) {
      frameCount += 1;
      if (frameCount > limits.framesMax)
        throw tooLongError('has more frames than its header says', `${limits.framesMax} frames`);
      yield jpeg;
    }
    await timesRead;
    const { warnings } = await ffmpeg.finished;
    if (frameCount === 0) throw noPicture(warnings);
    const timeline = checkedTimeline(video, frameCount, times);
    if (warnings.length > 0) await refuseLoss({ sourcePath, video, frameCount, warnings });
    request.onWarnings?.(warnings);
    return timeline;
  } catch (error) {
    // If the pipe ended by itself, ffmpeg has ended, and its error is more specific.
    if (ffmpeg.stdout.readableEnded) {
      await ffmpeg.finished.catch((cause: unknown) => {
        throw frameCount === 0 && isToolFailure(cause) ? noPicture([cause.message], cause) : cause;
      });
    }
    throw error;
  } finally {
    stop.abort();
    await ffmpeg.finished.catch(() => {});
  }
}

function decodeCommand({ sourcePath, video }: DecodeRequest): FfmpegCommand {
  return (
    addSourceInput(ffmpegCommand(), sourcePath)
      .inputOptions('-copyts')
      .videoFilters(`${STRICTLY_INCREASING},${toJpegColour(video)}`)
      .output('[f=mpjpeg]pipe:1|[f=framecrc:flush_packets=1]pipe:3')
      .outputOptions('-map', `0:${video.trackIndex}`, '-an', '-sn', '-dn')
      // Pass every frame through with its source timestamp.
      .outputOptions('-fps_mode', 'passthrough', '-enc_time_base', '-1')
      .outputOptions('-c:v', 'mjpeg', '-q:v', String(JPEG_QSCALE), '-flags', '+bitexact')
      // Decode all intact frames, however many are damaged. `refuseLoss` decides afterwards.
      .outputOptions('-max_error_rate', '1')
      .outputOptions('-f', 'tee')
  );
}

/** Yields the chunks of a stream and calls `onStalled` if one takes too long. The consumer's time does not count. */
async function* watched(stream: Readable, onStalled: () => void): AsyncGenerator<Uint8Array, void> {
  const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  try {
    for (;;) {
      const { done, value } = await nextWithin(chunks, onStalled);
      if (done === true) return;
      yield value;
    }
  } finally {
    await chunks.return?.();
  }
}

async function nextWithin<T>(
  chunks: AsyncIterator<T>,
  onStalled: () => void,
): Promise<IteratorResult<T, unknown>> {
  using _stall = after(STALLED_MS, onStalled);
  return await chunks.next();
}

/** Calls back once, unless disposed before. */
function after(ms: number, call: () => void): Disposable {
  // The longest delay that Node supports, 24 days.
  const timer = setTimeout(call, Math.min(ms, 2 ** 31 - 1));
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

async function readTimes(times: FramecrcReader, text: Readable, limits: DecodeLimits): Promise<void> {
  text.setEncoding('utf8');
  for await (const part of text) {
    times.push(part as string);
    if (times.spanSeconds > limits.durationSecondsMax) {
      throw tooLongError('lasts longer than its header says', `${limits.durationSecondsMax} s`);
    }
  }
}

function checkedTimeline(video: VideoInfo, frameCount: number, times: FramecrcReader): Timeline {
  const timeline = checkTimeline(times.end());
  if (timeline.pts.length !== frameCount) {
    const counts = `${frameCount} frames and ${timeline.pts.length} timestamps`;
    throw new PermanentError('MEDIA_TOOL_FAILED', `ffmpeg produced ${counts} for the same source.`, {
      hint: 'Check that the disk is not full. If it has space left, report this error.',
    });
  }
  const crowded = crowdedFrames(timeline, video);
  if (isMoreThanAFew(crowded, frameCount)) {
    throw new PermanentError(
      'SOURCE_NOT_VIDEO',
      `The timestamps of the source jump back: ${crowded} frames have no timestamp of their own.`,
      {
        hint: 'The file may contain several recordings. Re-encode it with continuous timestamps: ffmpeg -i FILE -c:v libx264 -crf 12 NEW.mkv',
      },
    );
  }
  return timeline;
}

interface DecodedSource {
  readonly sourcePath: string;
  readonly video: VideoInfo;
  readonly frameCount: number;
  readonly warnings: readonly string[];
}

/**
 * Throws SOURCE_TRUNCATED if the video would be silently shorter. Fewer frames than the header declares are not proof: capture
 * devices drop frames, and edit lists hide some. If ffmpeg also reported errors, count the packets that are neither empty nor
 * hidden; each of them should have become a frame.
 */
async function refuseLoss({ sourcePath, video, frameCount, warnings }: DecodedSource): Promise<void> {
  const expected = video.frameCountExpected ?? 0;
  if (!isMoreThanAFew(expected - frameCount, expected)) return;
  const packetCount = await countVideoPackets(sourcePath, video);
  if (!isMoreThanAFew(packetCount - frameCount, packetCount)) return;
  throw new PermanentError(
    'SOURCE_TRUNCATED',
    `The video is damaged: only ${frameCount} of its ${packetCount} frames could be decoded. ffmpeg reported: ${warnings.slice(-2).join(' | ')}`,
    {
      hint: 'Copy or download the file again. To keep only the frames that decode: ffmpeg -i FILE -c:v libx264 -crf 12 NEW.mkv',
    },
  );
}

function isMoreThanAFew(frames: number, ofFrames: number): boolean {
  return frames > Math.max(A_FEW_FRAMES.least, A_FEW_FRAMES.share * ofFrames);
}

function noPicture(warnings: readonly string[], cause?: unknown): PermanentError {
  const details = warnings.length === 0 ? '' : ` ffmpeg reported: ${warnings.slice(-2).join(' | ')}`;
  return new PermanentError('SOURCE_NO_PICTURE', `No frame of the source could be decoded.${details}`, {
    hint: 'Check that the file plays. If it does not, copy or download it again.',
    cause,
  });
}

function stalled(): PermanentError {
  return new PermanentError(
    'MEDIA_TOOL_FAILED',
    `ffmpeg produced no frame for ${STALLED_MS / 1_000} s while splitting the source into frames.`,
    {
      hint: 'Check that the source plays and that the disk responds. If both do, report this error.',
    },
  );
}

function tookTooLong({ wallSecondsMax }: DecodeLimits): PermanentError {
  return tooLargeError(`Splitting the source into frames took longer than the limit of ${wallSecondsMax} s.`);
}
