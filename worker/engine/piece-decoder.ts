/**
 * Decodes a run of frames of one piece with ffmpeg, to packed RGB.
 *
 * The piece is untrusted: ffmpeg gets it through a pipe, knows its container and its decoder in advance, reaches no file and no network,
 * and has limits on memory, time and picture size. Yields frames in order; a piece that holds fewer frames than it should, or in which
 * ffmpeg finds an error, ends with a PieceMismatchError: the caller cannot know which frames are wrong.
 */
import type { PieceFormat } from '../../shared/contract/piece.ts';
import { decodersOf } from '../../shared/media/codecs.ts';
import { rgbFromPiece } from '../../shared/media/colour.ts';
import { type FfmpegCommand, ffmpegCommand, startFfmpeg } from '../../shared/media/ffmpeg.ts';
import type { FrameBuffer, FramePool } from './frame-pool.ts';
import { IncompleteFrameError, openFrameReader } from './frame-reader.ts';

/** Summed over all threads. A piece takes seconds. */
const CPU_SECONDS_MAX = 3_600;
/** Decoders round sizes up, and allocate edges around the picture. */
const EDGE_PIXELS = 256;

/** The piece does not hold what the plan says. */
export class PieceMismatchError extends Error {}

export interface PieceRun {
  readonly bytes: Uint8Array;
  readonly format: PieceFormat;
  /** The first frame to yield, counted from the start of the piece. */
  readonly skip: number;
  readonly count: number;
  readonly signal: AbortSignal;
}

/** Yields buffers of the pool, height x width x 3, which the caller gives back. Leaving the loop kills ffmpeg. */
export async function* decodePiece(run: PieceRun, pool: FramePool): AsyncGenerator<FrameBuffer, void> {
  const { format, bytes, count: expected, signal } = run;
  const stop = new AbortController();
  const command = decodeCommand(run);
  await using reader = await openFrameReader(format.width * format.height * 3, pool);
  const ffmpeg = startFfmpeg({
    command,
    activity: 'decoding a piece of the source',
    stdin: 'pipe',
    stdout: 'none',
    stdoutDescriptor: reader.writeEnd,
    limits: { cpuSecondsMax: CPU_SECONDS_MAX },
    signal: AbortSignal.any([signal, stop.signal]),
  });
  await reader.closeWriteEnd();
  ffmpeg.stdin.end(bytes);
  try {
    let count = 0;
    for await (const frame of reader.frames()) {
      count += 1;
      yield frame;
    }
    const { warnings } = await ffmpeg.finished;
    if (count !== expected) throw new PieceMismatchError(`expected ${expected} frames, decoded ${count}`);
    const [warning] = warnings;
    if (warning !== undefined) throw new PieceMismatchError(`ffmpeg reported: ${warning}`);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof IncompleteFrameError) throw new PieceMismatchError(error.message, { cause: error });
    throw error;
  } finally {
    stop.abort();
    await ffmpeg.finished.catch(() => undefined);
  }
}

function decodeCommand({ format, skip, count }: PieceRun): FfmpegCommand {
  const { container, codec, width, height } = format;
  return ffmpegCommand()
    .input('pipe:0')
    .inputOptions('-protocol_whitelist', 'pipe', '-f', container, '-codec_whitelist', decodersOf(codec))
    .inputOptions('-noautorotate')
    .inputOptions('-max_pixels', String((width + EDGE_PIXELS) * (height + EDGE_PIXELS)))
    .output('pipe:1')
    .outputOptions('-map', '0:v:0')
    .outputOptions('-filter:v', `trim=start_frame=${skip}:end_frame=${skip + count},${rgbFromPiece(format)}`)
    .outputOptions('-fps_mode', 'passthrough', '-f', 'rawvideo', '-pix_fmt', 'rgb24');
}
