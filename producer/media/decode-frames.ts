/**
 * Decodes a source once, into upright JPEGs and the exact time of each.
 *
 * Promises: every frame that decodes, once, in order, none made up and none dropped to fit a rate; the same bytes each
 * time for a whole file; no more in memory than the consumer's pace asks for, and 8 bytes a frame; limits that are enforced
 * during decoding and do not depend on the header; no ffmpeg process left after the iteration, also after an error. ffmpeg
 * writes to two pipes at once (tee): the JPEGs to its stdout, the timestamps to `pipe:3`. Rotation is applied, so the result
 * needs none. A little damage in the middle is no error: ffmpeg conceals it and reports it in the warnings; `refuseLoss`
 * refuses a source of which more than a few frames are lost.
 */
import type { Readable } from 'node:stream';

import { type FfmpegCommand, addSourceInput, ffmpegCommand, startFfmpeg } from '../../shared/media/ffmpeg.ts';
import {
  type SourceLimits,
  countVideoPackets,
  tooLargeError,
  tooLongError,
} from '../../shared/media/probe.ts';
import type { VideoInfo } from '../../shared/media/video-info.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import { toJpegColour } from './colour.ts';
import { FramecrcReader } from './framecrc.ts';
import { splitMpjpeg } from './mpjpeg.ts';
import { type Timeline, checkTimeline, crowdedFrames } from './timeline.ts';

/** The least loss that ffmpeg's scale of 2 (best) to 31 has; about quality 95 of other encoders. */
const JPEG_QSCALE = 2;

/**
 * Broken recordings hold frames with the time of the one before, which no encoder takes: such a frame comes one tick
 * later. All others keep their time.
 */
const STRICTLY_INCREASING = String.raw`setpts=if(isnan(PREV_OUTPTS)\,PTS\,max(PTS\,PREV_OUTPTS+1))`;

/**
 * A few frames crowded together are a stutter, and a decoder may drop a frame or two where a damaged part begins or ends; more
 * would make the video silently shorter.
 */
const A_FEW_FRAMES = { least: 2, share: 0.02 } as const;

/** No frame for so long, while one is waited for: the largest frame takes a decoder a few seconds. */
const STALLED_MS = 300_000;

export interface DecodeLimits extends Pick<SourceLimits, 'framesMax' | 'durationSecondsMax'> {
  /** From the first frame asked for to the last one taken, the consumer's own time included. */
  readonly wallSecondsMax: number;
  /** Over all threads of ffmpeg. */
  readonly cpuSecondsMax: number;
}

export interface DecodeRequest {
  readonly sourcePath: string;
  readonly video: VideoInfo;
  readonly limits: DecodeLimits;
  readonly signal?: AbortSignal | undefined;
  /** Called once, after the last frame, with what ffmpeg reported. */
  readonly onWarnings?: ((warnings: readonly string[]) => void) | undefined;
}

/**
 * Yields JPEGs and returns their timeline. ffmpeg starts with the first `next()`; `return()`, which leaving a `for await`
 * calls, kills it. Throws SOURCE_NO_PICTURE, SOURCE_TOO_LARGE, SOURCE_TRUNCATED, SOURCE_NOT_VIDEO, MEDIA_TOOL_FAILED,
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
  // What is wrong with the times ends the decoding at once, and not when the next frame comes.
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
    const timeline = checkedTimeline({ video, frameCount, times });
    if (warnings.length > 0) await refuseLoss({ sourcePath, video, frameCount, warnings });
    request.onWarnings?.(warnings);
    return timeline;
  } catch (error) {
    // Where the pipe ended by itself, ffmpeg has, and its own reason comes first.
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
      // Each frame as it comes, with the source's own timestamp.
      .outputOptions('-fps_mode', 'passthrough', '-enc_time_base', '-1')
      .outputOptions('-c:v', 'mjpeg', '-q:v', String(JPEG_QSCALE), '-flags', '+bitexact')
      // However many frames are damaged, those that are not are wanted; `refuseLoss` judges.
      .outputOptions('-max_error_rate', '1')
      .outputOptions('-f', 'tee')
  );
}

/** The chunks of a stream; `onStalled` is called when one is waited for too long. The consumer's own time does not count. */
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

/** Calls back once, unless it is disposed of before. */
function after(ms: number, call: () => void): Disposable {
  // Node takes no longer delay; that is 24 days.
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

function checkedTimeline({
  video,
  frameCount,
  times,
}: {
  readonly video: VideoInfo;
  readonly frameCount: number;
  readonly times: FramecrcReader;
}): Timeline {
  const timeline = checkTimeline(times.end());
  if (timeline.pts.length !== frameCount) {
    const counts = `${frameCount} pictures and ${timeline.pts.length} timestamps`;
    throw new PermanentError('MEDIA_TOOL_FAILED', `ffmpeg gave ${counts} for the same source.`, {
      hint: 'Check that the disk is not full. If it is not, report this message.',
    });
  }
  const crowded = crowdedFrames(timeline, video);
  if (isMoreThanAFew(crowded, frameCount)) {
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

/**
 * The video is never silently shorter. Fewer frames than the header declares prove nothing: capture drops frames, an edit list
 * hides some. But where ffmpeg reported errors and there are fewer, the file's packets are counted, without those that are
 * empty or hidden: each of them should have become a frame. Throws SOURCE_TRUNCATED.
 */
async function refuseLoss({
  sourcePath,
  video,
  frameCount,
  warnings,
}: {
  readonly sourcePath: string;
  readonly video: VideoInfo;
  readonly frameCount: number;
  readonly warnings: readonly string[];
}): Promise<void> {
  const expected = video.frameCountExpected ?? 0;
  if (!isMoreThanAFew(expected - frameCount, expected)) return;
  const packetCount = await countVideoPackets(sourcePath, video);
  if (!isMoreThanAFew(packetCount - frameCount, packetCount)) return;
  throw new PermanentError(
    'SOURCE_TRUNCATED',
    `The video is damaged: only ${frameCount} of its ${packetCount} frames could be decoded. ffmpeg reported: ${warnings.slice(-2).join(' | ')}`,
    {
      hint: 'Copy or download it again. To go on with what can be decoded: ffmpeg -i FILE -c:v libx264 -crf 12 NEW.mkv',
    },
  );
}

function isMoreThanAFew(frames: number, ofFrames: number): boolean {
  return frames > Math.max(A_FEW_FRAMES.least, A_FEW_FRAMES.share * ofFrames);
}

function isToolFailure(error: unknown): error is PermanentError {
  return error instanceof PermanentError && error.code === 'MEDIA_TOOL_FAILED';
}

function noPicture(said: readonly string[], cause?: unknown): PermanentError {
  const details = said.length === 0 ? '' : ` ffmpeg reported: ${said.slice(-2).join(' | ')}`;
  return new PermanentError('SOURCE_NO_PICTURE', `Not one frame of the source could be decoded.${details}`, {
    hint: 'Check that it plays. If it does not, copy or download it again.',
    cause,
  });
}

function stalled(): PermanentError {
  return new PermanentError(
    'MEDIA_TOOL_FAILED',
    `ffmpeg gave no frame for ${STALLED_MS / 1_000} s while splitting the source into frames.`,
    {
      hint: 'Check that the source plays and that the disk answers. If both are in order, report this message.',
    },
  );
}

function tookTooLong({ wallSecondsMax }: DecodeLimits): PermanentError {
  return tooLargeError(
    `Splitting the source into frames took longer than the ${wallSecondsMax} s that are allowed.`,
  );
}
