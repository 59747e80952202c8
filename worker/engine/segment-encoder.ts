/**
 * Encodes the frames of one segment with ffmpeg, as a fragmented MP4 whose first frame is a key frame.
 *
 * Guarantees: the same frames give the same bytes (for one ffmpeg build and one machine type); one packet a frame; memory bounded by the
 * encoder's lookahead and the encoded bytes; disposing of the encoder leaves no ffmpeg process. Timestamps within a segment are nominal,
 * one frame after the other: the join gives each frame its own.
 */
import { buffer } from 'node:stream/consumers';

import type { Encoding, PictureFormat } from '../../shared/contract/encoding.ts';
import { framesFromPictures, resultFromRgb, resultTags } from '../../shared/media/colour.ts';
import { type FfmpegCommand, ffmpegCommand, startFfmpeg } from '../../shared/media/ffmpeg.ts';
import type { ToolProcess } from '../../shared/media/tool-process.ts';
import { type FittedSize, isLargeFrame, wholePicture } from './fit.ts';

/**
 * Fixed, because the output of x264 depends on it. With sync-lookahead off, it depends on no other property of the machine; nor does that of
 * x265 with a fixed number of frame threads.
 */
const THREADS = 4;
const THREADS_OF_LARGE_FRAMES = 1;
const NVENC_PRESETS: Readonly<Record<Encoding['preset'], string>> = {
  ultrafast: 'p1',
  superfast: 'p1',
  veryfast: 'p2',
  faster: 'p3',
  fast: 'p3',
  medium: 'p4',
  slow: 'p5',
  slower: 'p6',
  veryslow: 'p7',
};
/** Summed over all threads: a segment takes seconds, of the largest frames minutes. */
const CPU_SECONDS_MAX = 3_600;
/** libavformat takes a higher rate for a clock rate, and gives frames no duration. */
const FRAMES_PER_SECOND_MAX = 999;

export interface SegmentFormat {
  /** Of the pictures to encode; that of the frames by default. */
  readonly input?: FittedSize;
  /** Of the encoded frames, in pixels. Unless lossless, an odd size is made even by repeating the last column or row. */
  readonly width: number;
  readonly height: number;
  readonly picture: PictureFormat;
  readonly encoding: Encoding;
}

export class SegmentEncoder implements AsyncDisposable {
  readonly #ffmpeg: ToolProcess<'pipe', 'pipe'>;
  readonly #output: Promise<Buffer>;
  readonly #stop = new AbortController();

  /** Aborting the signal ends ffmpeg. */
  constructor(format: SegmentFormat, signal: AbortSignal) {
    this.#ffmpeg = startFfmpeg({
      command: encodeCommand(format),
      activity: 'encoding a segment',
      stdin: 'pipe',
      stdout: 'pipe',
      limits: { cpuSecondsMax: CPU_SECONDS_MAX },
      signal: AbortSignal.any([signal, this.#stop.signal]),
    });
    this.#output = buffer(this.#ffmpeg.stdout);
    this.#output.catch(() => undefined); // Awaited in `finish`.
  }

  /** Passes the pixels of the next frame: packed RGB, height x width x 3 of the input. They must not change until it resolves. */
  async write(pixels: Uint8Array): Promise<void> {
    const { stdin, finished } = this.#ffmpeg;
    // Not the return value of `write`: it says that there is room for more, not that the pixels have been copied.
    const written = new Promise<void>((resolve) => stdin.write(pixels, () => resolve()));
    // If ffmpeg ends, its error says more than that of the pipe.
    await Promise.race([written, finished]);
  }

  /** Returns the segment. Throws MEDIA_TOOL_FAILED, PROGRAM_MISSING or the signal's reason. */
  async finish(): Promise<Buffer> {
    this.#ffmpeg.stdin.end();
    await this.#ffmpeg.finished;
    return this.#output;
  }

  /** Kills ffmpeg if it still runs. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#ffmpeg.finished.catch(() => undefined);
  }
}

function encodeCommand(format: SegmentFormat): FfmpegCommand {
  const { picture } = format;
  const input = format.input ?? wholePicture(format);
  const rate = Math.min(picture.framesPerSecond, FRAMES_PER_SECOND_MAX);
  return (
    ffmpegCommand()
      .input('pipe:0')
      .inputOptions('-protocol_whitelist', 'pipe', '-f', 'rawvideo', '-pix_fmt', 'rgb24')
      .inputOptions('-video_size', `${input.width}x${input.height}`, '-framerate', String(rate))
      .output('pipe:1')
      .outputOptions('-filter:v', filters(format, input))
      .outputOptions(...encoderOptions(format))
      // No random ids and no version of the muxer: the same frames give the same file.
      .outputOptions('-fflags', '+bitexact', '-flags:v', '+bitexact')
      // One header, then all packets in one fragment: the join reads sizes and order from it, without a seek.
      .outputOptions('-f', 'mp4', '-movflags', '+empty_moov+default_base_moof')
  );
}

function encoderOptions(format: SegmentFormat): readonly string[] {
  const { codec, crf, preset, encoder } = format.encoding;
  const threads = isLargeFrame(format) ? THREADS_OF_LARGE_FRAMES : THREADS;
  if (encoder === 'nvenc') {
    const quality = ['-rc', 'vbr', '-cq', String(crf ?? 0), '-b:v', '0'];
    return ['-pix_fmt', 'yuv420p', '-c:v', `${codec}_nvenc`, '-preset', NVENC_PRESETS[preset], ...quality];
  }
  if (codec === 'hevc') {
    const quality = crf === null ? ['lossless=1'] : [`crf=${crf}`];
    const options = [
      'log-level=error',
      'info=0',
      'open-gop=0',
      `pools=${threads}`,
      'frame-threads=2',
      ...quality,
    ];
    const pixels = crf === null ? 'gbrp' : 'yuv420p';
    const params = ['-x265-params', options.join(':'), '-tag:v', 'hvc1'];
    return ['-pix_fmt', pixels, '-c:v', 'libx265', '-preset', preset, ...params];
  }
  const rate = crf === null ? ['-pix_fmt', 'rgb24', '-c:v', 'libx264rgb', '-qp', '0'] : [];
  const lossy = crf === null ? [] : ['-pix_fmt', 'yuv420p', '-c:v', 'libx264', '-crf', String(crf)];
  const params = ['-threads', String(threads), '-x264-params', 'sync-lookahead=0:chromaloc=0'];
  return [...rate, ...lossy, '-preset', preset, ...params];
}

function filters({ width, height, picture, encoding }: SegmentFormat, input: FittedSize): string {
  const fitted = ['format=gbrp', ...framesFromPictures(input, { width, height })];
  const { numerator, denominator } = picture.sampleAspectRatio;
  // The default precision of the ratio is 1:100, too coarse for 1215:1216. H.264 allows 16 bits.
  const aspect = `setsar=sar=${numerator}/${denominator}:max=65535`;
  const { colour } = picture;
  if (encoding.crf === null)
    return [...fitted, aspect, resultTags({ ...colour, matrix: 'gbr', range: 'full' })].join(',');
  const [right, bottom] = [width % 2, height % 2];
  const isEven = right + bottom === 0;
  return [
    ...fitted,
    // The edge is repeated in RGB, where every pixel has a sample of its own.
    ...(isEven
      ? []
      : [
          `pad=w=${width + right}:h=${height + bottom}:x=0:y=0`,
          `fillborders=right=${right}:bottom=${bottom}:mode=smear`,
        ]),
    resultFromRgb(colour),
    aspect,
    resultTags(colour),
  ].join(',');
}
