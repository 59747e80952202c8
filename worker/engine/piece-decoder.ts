/**
 * Decodes a run of frames of one piece with ffmpeg, to packed RGB of the size that the model takes.
 *
 * The piece is untrusted: ffmpeg gets it through a pipe, knows its container and its decoder in advance, reaches no file and no network,
 * and has limits on memory, time and picture size. Yields frames in order; a piece that holds another number of frames than it should, or in
 * which ffmpeg finds an error, crashes or stalls, ends with a PieceMismatchError: the caller cannot know which frames are wrong.
 */
import type { PieceFormat } from '../../shared/contract/piece.ts';
import { decodersOf } from '../../shared/media/codecs.ts';
import { fixedSize, rgbFromPiece } from '../../shared/media/colour.ts';
import { type FfmpegCommand, ffmpegCommand, startFfmpeg } from '../../shared/media/ffmpeg.ts';
import { type ToolProcess, isToolFailure } from '../../shared/media/tool-process.ts';
import { describeError } from '../../shared/runtime/errors.ts';
import { type FittedSize, isLargeFrame, wholePicture } from './fit.ts';
import type { FrameBuffer, FramePool } from './frame-pool.ts';
import { FrameOutputError, type FrameReader, openFrameReader } from './frame-reader.ts';

/** Summed over all threads. A piece takes seconds. */
const CPU_SECONDS_MAX = 3_600;
/** Decoders round sizes up, and allocate edges around the picture. */
const EDGE_PIXELS = 256;

/** The piece does not hold what the plan says. */
export class PieceMismatchError extends Error {}

export interface PieceRun {
  /** For errors. */
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly format: PieceFormat;
  /** Of the frames to yield; that of the piece by default. */
  readonly size?: FittedSize;
  /** The first frame to yield, counted from the start of the piece. */
  readonly skip: number;
  readonly count: number;
  /** Whether the last of these frames is the last one of the piece. */
  readonly isToEnd: boolean;
  /** A decoder that yields no frame for this long is at fault. */
  readonly stalledMs: number;
  readonly signal: AbortSignal;
}

export class PieceDecoder implements AsyncDisposable {
  readonly #run: PieceRun;
  readonly #reader: FrameReader;
  readonly #pool: FramePool;
  readonly #stop = new AbortController();
  readonly #ffmpeg: ToolProcess<'pipe', 'none'>;

  private constructor(run: PieceRun, reader: FrameReader, pool: FramePool) {
    this.#run = run;
    this.#pool = pool;
    this.#reader = reader;
    this.#ffmpeg = startFfmpeg({
      command: decodeCommand(run),
      activity: 'decoding a piece of the source',
      stdin: 'pipe',
      stdout: 'none',
      stdoutDescriptor: reader.writeEnd,
      limits: { cpuSecondsMax: CPU_SECONDS_MAX },
      signal: AbortSignal.any([run.signal, this.#stop.signal]),
    });
    this.#ffmpeg.stdin.end(run.bytes);
  }

  /** Starts ffmpeg, which decodes the first frames and then waits until they are read. */
  static async start(run: PieceRun, pool: FramePool): Promise<PieceDecoder> {
    const { width, height } = run.size ?? run.format;
    const reader = await openFrameReader({ frameBytes: width * height * 3, stalledMs: run.stalledMs, pool });
    try {
      const decoder = new PieceDecoder(run, reader, pool);
      await reader.closeWriteEnd();
      return decoder;
    } catch (error) {
      await reader[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Yields buffers of the pool, height x width x 3, which the caller gives back. Call it once. */
  async *frames(): AsyncGenerator<FrameBuffer, void> {
    const { count: expected, signal, name } = this.#run;
    try {
      let count = 0;
      for await (const frame of this.#reader.frames()) {
        count += 1;
        if (count > expected) {
          this.#pool.giveBack(frame);
          throw new PieceMismatchError(`expected ${expected} frames, decoded more`);
        }
        yield frame;
      }
      const { warnings } = await this.#ffmpeg.finished;
      if (count !== expected) throw new PieceMismatchError(`expected ${expected} frames, decoded ${count}`);
      const [warning] = warnings;
      if (warning !== undefined) throw new PieceMismatchError(`ffmpeg reported: ${warning}`);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof PieceMismatchError || error instanceof FrameOutputError || isToolFailure(error))
        throw new PieceMismatchError(`${name}: ${describeError(error)}`, { cause: error });
      throw error;
    }
  }

  /** Kills ffmpeg if it still runs. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#ffmpeg.finished.catch(() => undefined);
    await this.#reader[Symbol.asyncDispose]();
  }
}

function decodeCommand({
  format,
  size = wholePicture(format),
  skip,
  count,
  isToEnd,
}: PieceRun): FfmpegCommand {
  const { container, codec, width, height } = format;
  // To the end: frames that should not be there are counted, too.
  const frames = `trim=start_frame=${skip}${isToEnd ? '' : `:end_frame=${skip + count}`}`;
  return (
    ffmpegCommand()
      .input('pipe:0')
      .inputOptions('-protocol_whitelist', 'pipe', '-f', container, '-codec_whitelist', decodersOf(codec))
      // Otherwise ffmpeg starts its filters anew when the picture changes its size or format, and `trim` counts from zero again.
      .inputOptions('-noautorotate', '-reinit_filter', '0', '-threads', isLargeFrame(format) ? '1' : 'auto')
      .inputOptions('-max_pixels', String((width + EDGE_PIXELS) * (height + EDGE_PIXELS)))
      .output('pipe:1')
      .outputOptions('-map', '0:v:0')
      .outputOptions('-filter:v', `${fixedSize(format)},${frames},${rgbFromPiece(format, size)}`)
      .outputOptions('-fps_mode', 'passthrough', '-f', 'rawvideo', '-pix_fmt', 'rgb24')
  );
}
