/** Runs the references: the one-process pipe, and ffmpeg alone. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { JPEG_QSCALE } from '../../producer/media/decode-frames.ts';
import { toJpegColour } from '../../shared/media/colour.ts';
import type { VideoInfo } from '../../shared/media/video-info.ts';
import { ENCODER_ARGUMENTS } from './media-costs.ts';

const PIPE = fileURLToPath(new URL('./one-process-pipe.ts', import.meta.url));
const run = promisify(execFile);

export interface PipeCost {
  readonly frames: number;
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
  readonly inferSeconds: number;
}

export interface PipeRun {
  readonly source: string;
  readonly model: string;
  readonly width: number;
  readonly height: number;
  readonly threads: number;
}

export async function runPipe({ source, model, width, height, threads }: PipeRun): Promise<PipeCost> {
  const args = [PIPE, source, model, width, height, threads].map(String);
  const { stdout } = await run(process.execPath, args);
  return JSON.parse(stdout) as PipeCost;
}

/** CPU seconds of ffmpeg for decoding a source and encoding it with the settings of a job, without a conversion. */
export async function transcodeCpuSeconds(source: string): Promise<number> {
  return ffmpegCpuSeconds(source, ENCODER_ARGUMENTS);
}

/** CPU seconds of ffmpeg for decoding a source to the JPEGs of a job. */
export async function jpegCpuSeconds(source: string, video: VideoInfo): Promise<number> {
  const toJpeg = ['-vf', toJpegColour(video), '-c:v', 'mjpeg', '-q:v', String(JPEG_QSCALE)];
  return ffmpegCpuSeconds(source, [...toJpeg, '-f', 'null', '-']);
}

async function ffmpegCpuSeconds(source: string, output: readonly string[]): Promise<number> {
  const options = ['-hide_banner', '-nostdin', '-loglevel', 'info', '-benchmark', '-y'];
  const { stderr } = await run('ffmpeg', [...options, '-i', source, '-an', ...output]);
  const [, user, system] = /bench: utime=([\d.]+)s stime=([\d.]+)s/.exec(stderr) ?? [];
  if (user === undefined) throw new Error('ffmpeg printed no CPU time');
  return Number(user) + Number(system);
}
