/** One frame of a video as a small JPEG, for people to look at. ffmpeg is confined as for every source. */
import { buffer } from 'node:stream/consumers';

import type { PieceFormat } from '../../shared/contract/piece.ts';
import { decodersOf } from '../../shared/media/codecs.ts';
import { rgbFromPiece, toJpegColour } from '../../shared/media/colour.ts';
import { type FfmpegCommand, addSourceInput, ffmpegCommand, startFfmpeg } from '../../shared/media/ffmpeg.ts';
import type { VideoInfo } from '../../shared/media/video-info.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';

/** Summed over all threads. A frame at the end of a long piece takes some seconds. */
const CPU_SECONDS_MAX = 300;
const WALL_MS_MAX = 60_000;
const QSCALE = 3;
/** Decoders round sizes up, and allocate edges around the picture. */
const EDGE_PIXELS = 256;

export interface FirstFrameRequest {
  readonly sourcePath: string;
  readonly video: VideoInfo;
  /** A smaller frame is not enlarged. */
  readonly widthMax: number;
  readonly signal: AbortSignal;
}

/** Throws SOURCE_NO_PICTURE, MEDIA_TOOL_FAILED or PROGRAM_MISSING. */
export async function firstFrameOf({
  sourcePath,
  video,
  widthMax,
  signal,
}: FirstFrameRequest): Promise<Buffer> {
  const command = addSourceInput(ffmpegCommand(), sourcePath)
    .output('pipe:1')
    .outputOptions('-map', `0:${video.trackIndex}`, '-an', '-sn', '-dn')
    .outputOptions('-filter:v', `${toJpegColour(video)},${atMost(widthMax)}`);
  return oneJpeg(command, undefined, signal);
}

export interface PieceFrameRequest {
  readonly piece: Uint8Array;
  readonly format: PieceFormat;
  /** Counted from the start of the piece. */
  readonly frame: number;
  readonly widthMax: number;
  readonly signal: AbortSignal;
}

/** A frame of a piece of the source. Throws SOURCE_NO_PICTURE if it cannot be decoded, MEDIA_TOOL_FAILED or PROGRAM_MISSING. */
export async function frameOfPiece(request: PieceFrameRequest): Promise<Buffer> {
  const { piece, format, frame, widthMax, signal } = request;
  const { container, codec, width, height } = format;
  const size = { width, height, shown: { x: 0, y: 0, width, height } };
  const command = ffmpegCommand()
    .input('pipe:0')
    .inputOptions('-protocol_whitelist', 'pipe', '-f', container, '-codec_whitelist', decodersOf(codec))
    .inputOptions('-noautorotate', '-reinit_filter', '0')
    .inputOptions('-max_pixels', String((width + EDGE_PIXELS) * (height + EDGE_PIXELS)))
    .output('pipe:1')
    .outputOptions('-map', '0:v:0')
    .outputOptions(
      '-filter:v',
      `trim=start_frame=${frame},${rgbFromPiece(format, size)},${atMost(widthMax)},format=yuvj444p`,
    );
  return oneJpeg(command, piece, signal);
}

function atMost(widthMax: number): string {
  return String.raw`scale=w=min(${widthMax}\,iw):h=-1`;
}

async function oneJpeg(
  command: FfmpegCommand,
  input: Uint8Array | undefined,
  signal: AbortSignal,
): Promise<Buffer> {
  const ffmpeg = startFfmpeg({
    command: command
      .outputOptions('-frames:v', '1', '-c:v', 'mjpeg', '-q:v', String(QSCALE))
      .outputOptions('-flags', '+bitexact', '-f', 'mjpeg'),
    activity: 'decoding a frame to look at',
    stdin: 'pipe',
    stdout: 'pipe',
    limits: { cpuSecondsMax: CPU_SECONDS_MAX },
    signal: AbortSignal.any([signal, AbortSignal.timeout(WALL_MS_MAX)]),
  });
  ffmpeg.stdin.end(input);
  const jpeg = await buffer(ffmpeg.stdout);
  // A frame is there: what ffmpeg says of the rest does not matter.
  if (jpeg.length > 0) return jpeg;
  await ffmpeg.finished;
  throw new PermanentError('SOURCE_NO_PICTURE', 'The frame cannot be decoded.', {
    hint: 'Check that the file plays. If it does not, copy or download it again.',
  });
}
