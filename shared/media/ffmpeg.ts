/**
 * ffmpeg, described by fluent-ffmpeg and started by us. The only importer of fluent-ffmpeg.
 *
 * fluent only builds the argument list: it gives a stream only for a `pipe:` target, has no stdin with backpressure, and its
 * `run` probes the program first. So its arguments go to our own spawn (`tool-process.ts`, which also confines the process).
 *
 * Everything hostile comes in through an input, so each source gets SOURCE_OPTIONS: one protocol; real containers only (no
 * playlist that names other files, no picture sequence, no scripted source); common decoders only; a bound on every
 * allocation and on the pixels of a frame. Paths are absolute behind `file:`, where a leading dash, a colon or a `%d` has no
 * meaning.
 *
 * fluent splits an option that holds exactly one space when it stands alone: pass option and value as two arguments.
 */
import { resolve } from 'node:path';

import fluent from 'fluent-ffmpeg';

import { DECODERS_ALLOWED } from './codecs.ts';
import { type ToolProcess, type ToolRun, startTool } from './tool-process.ts';

export type FfmpegCommand = fluent.FfmpegCommand;

/**
 * Demuxers a source may use. Left out on purpose: hls, dash, concat, sdp, rtsp (they open other addresses), image2 and
 * the *_pipe family (pictures), lavfi (a scripting language), and raw streams, which any noise can resemble.
 */
const SOURCE_FORMATS = 'mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf,mxf';

/** One allocation: a frame of 8192 x 8192 with 16 bits in 4:4:4 is 403 MB; ffmpeg's own limit is 2 GiB. */
const ALLOCATION_BYTES_MAX = 512 * 1024 * 1024;

/** Twice 8K UHD. It stops a stream that grows after it was probed; a job's own limit is far lower. */
const FRAME_PIXELS_MAX = 8192 * 8192;

/** Options of a program run, ffmpeg or ffprobe, before all others. */
export const PROGRAM_OPTIONS = [
  '-hide_banner',
  '-loglevel',
  'error',
  '-max_alloc',
  String(ALLOCATION_BYTES_MAX),
] as const;

/** Options in front of `-i` for a file from outside, for ffmpeg and ffprobe alike. */
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

export function ffmpegCommand(): FfmpegCommand {
  return fluent();
}

/** The source file as the next input of the command. */
export function addSourceInput(command: FfmpegCommand, path: string): FfmpegCommand {
  return command.input(fileUrl(path)).inputOptions(...SOURCE_OPTIONS);
}

/** A path as ffmpeg takes it literally, whatever its name. */
export function fileUrl(path: string): string {
  return `file:${resolve(path)}`;
}

/** Starts ffmpeg with the command's arguments. Errors arrive through `finished`; see ToolProcess. */
export function startFfmpeg<
  In extends 'none' | 'pipe',
  Out extends 'none' | 'pipe',
  Side extends 'none' | 'pipe' = 'none',
>({
  command,
  program = 'ffmpeg',
  ...run
}: Omit<ToolRun<In, Out, Side>, 'args' | 'program'> & {
  readonly command: FfmpegCommand;
  readonly program?: string;
}): ToolProcess<In, Out, Side> {
  // -nostdin: a key press on our terminal is not for ffmpeg. Data for pipe:0 still arrives.
  const args = [...PROGRAM_OPTIONS, '-nostats', '-nostdin', ...command._getArguments()];
  return startTool<In, Out, Side>({ ...run, program, args });
}
