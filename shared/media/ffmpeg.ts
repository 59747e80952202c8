/**
 * Runs ffmpeg with arguments built by fluent-ffmpeg. The only importer of fluent-ffmpeg.
 *
 * fluent-ffmpeg only builds the argument list. Its own `run` returns a stream only for a `pipe:` target, has no stdin with
 * backpressure, and probes the program first. So `tool-process.ts` starts and confines the process.
 *
 * Hostile data arrives through inputs, so each source gets SOURCE_OPTIONS: one protocol, real containers only (no playlist
 * that names other files, no image sequence, no scripted source), common decoders only, and limits on each allocation and on
 * the pixels of a frame. Paths are absolute and follow `file:`, where a leading dash, a colon or `%d` has no special meaning.
 */
import { resolve } from 'node:path';

import fluent from 'fluent-ffmpeg';

import { DECODERS_ALLOWED } from './codecs.ts';
import { type PipeMode, type ToolProcess, type ToolRun, startTool } from './tool-process.ts';

export type FfmpegCommand = fluent.FfmpegCommand;

/**
 * The demuxers a source may use. Left out on purpose: hls, dash, concat, sdp and rtsp (they open other addresses), image2 and
 * the *_pipe family (images), lavfi (a scripting language), and raw streams (random bytes can look like one).
 */
const SOURCE_FORMATS = 'mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf,mxf';

/** For one allocation. A frame of 8192 x 8192 with 16 bits in 4:4:4 takes 403 MB; ffmpeg's own limit is 2 GiB. */
const ALLOCATION_BYTES_MAX = 512 * 1024 * 1024;

/** Twice 8K UHD. Stops a stream whose frames grow after it was probed; the limit of a job is far lower. */
const FRAME_PIXELS_MAX = 8192 * 8192;

/** The first options of each run of ffmpeg or ffprobe. */
export const PROGRAM_OPTIONS = [
  '-hide_banner',
  '-loglevel',
  'error',
  '-max_alloc',
  String(ALLOCATION_BYTES_MAX),
] as const;

/** Options before `-i` for an untrusted file, for both ffmpeg and ffprobe. */
export const SOURCE_OPTIONS = [
  '-protocol_whitelist',
  'file',
  '-format_whitelist',
  SOURCE_FORMATS,
  '-codec_whitelist',
  DECODERS_ALLOWED,
  '-max_pixels',
  String(FRAME_PIXELS_MAX),
] as const;

/**
 * An empty command. fluent-ffmpeg splits a lone option that contains exactly one space: pass an option and its value as two
 * arguments. `outputOptions()` without an argument drops all options so far.
 */
export function ffmpegCommand(): FfmpegCommand {
  return fluent();
}

/** Adds the source file as the next input of the command. */
export function addSourceInput(command: FfmpegCommand, path: string): FfmpegCommand {
  return command.input(fileUrl(path)).inputOptions(...SOURCE_OPTIONS);
}

/** A path in the form that ffmpeg takes literally, whatever characters it contains. */
export function fileUrl(path: string): string {
  return `file:${resolve(path)}`;
}

export interface FfmpegRun<In extends PipeMode, Out extends PipeMode, Side extends PipeMode> extends Omit<
  ToolRun<In, Out, Side>,
  'args' | 'program'
> {
  readonly command: FfmpegCommand;
  /** `ffmpeg` by default. */
  readonly program?: string;
}

/** Starts ffmpeg with the command's arguments. Errors are reported through `finished`: see ToolProcess. */
export function startFfmpeg<In extends PipeMode, Out extends PipeMode, Side extends PipeMode = 'none'>(
  ffmpegRun: FfmpegRun<In, Out, Side>,
): ToolProcess<In, Out, Side> {
  const { command, program = 'ffmpeg', ...run } = ffmpegRun;
  // -nostdin: ffmpeg must not react to key presses in our terminal. Data for pipe:0 still arrives.
  const args = [...PROGRAM_OPTIONS, '-nostats', '-nostdin', ...command._getArguments()];
  // fluent-ffmpeg takes an empty list of options for an option without a name.
  if (args.some((arg) => typeof arg !== 'string'))
    throw new TypeError(`expected texts as arguments: ${args.join(' ')}`);
  return startTool<In, Out, Side>({ ...run, program, args });
}
