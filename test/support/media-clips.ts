/**
 * Small clips from ffmpeg's own test sources, and what is really in a file: its times, its sound, its pictures.
 *
 * It calls ffmpeg and ffprobe directly, not through our code, so that it can bear witness against it.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const OUTPUT_BYTES_MAX = 256 * 1024 * 1024;

/** Runs ffmpeg with these arguments, as they are. */
export async function ffmpeg(args: readonly string[]): Promise<void> {
  await run('ffmpeg', ['-hide_banner', '-nostdin', '-v', 'error', '-y', ...args]);
}

/** A moving test picture as an input. */
export function picture({ size = '64x48', rate = '25', seconds = 1 }): string[] {
  return ['-f', 'lavfi', '-i', `testsrc2=size=${size}:rate=${rate}:duration=${seconds}`];
}

/** A tone as an input. */
export function tone({ hertz = 440, rate = 48_000, seconds = 1 }): string[] {
  return ['-f', 'lavfi', '-i', `sine=frequency=${hertz}:sample_rate=${rate}:duration=${seconds}`];
}

/** Quick, with B-frames, whose order of decoding is not that of showing. */
export const H264 = ['-c:v', 'libx264', '-preset', 'veryfast', '-bf', '2', '-pix_fmt', 'yuv420p'];

interface Packet {
  readonly stream_index: number;
  readonly pts_time?: string;
  readonly size: string;
  readonly data_hash: string;
}

export interface PictureTimes {
  readonly seconds: readonly number[];
  readonly tickSeconds: number;
}

/** When each decoded frame of the first picture track is shown. */
export async function pictureTimes(path: string): Promise<PictureTimes> {
  const answer = (await ffprobe(path, [
    '-select_streams',
    'v:0',
    '-show_entries',
    'frame=pts:stream=time_base',
  ])) as {
    frames: { pts: number }[];
    streams: { time_base: string }[];
  };
  const [numerator = 0, denominator = 1] = (answer.streams[0]?.time_base ?? '').split('/').map(Number);
  const tickSeconds = numerator / denominator;
  return { seconds: answer.frames.map(({ pts }) => pts * tickSeconds), tickSeconds };
}

/** For each track of sound, in order, its packets: bytes (as a hash) and time. */
export async function soundPackets(
  path: string,
): Promise<{ hash: string; size: string; seconds: number }[][]> {
  const question = ['-select_streams', 'a', '-show_packets', '-show_data_hash', 'md5'];
  const { packets } = (await ffprobe(path, question)) as { packets: Packet[] };
  const tracks = Map.groupBy(packets, ({ stream_index: index }) => index);
  return [...tracks.keys()]
    .sort((a, b) => a - b)
    .map((index) =>
      (tracks.get(index) ?? []).map(({ data_hash: hash, size, pts_time: time }) => ({
        hash,
        size,
        seconds: Number(time),
      })),
    );
}

/** The mean of red, green and blue over all frames, 0 to 255, as a player without a colour profile shows them. */
export async function meanColour(path: string): Promise<number[]> {
  const args = [
    '-v',
    'error',
    '-i',
    path,
    '-map',
    '0:v:0',
    '-vf',
    'scale=1:1:flags=area,format=rgb24',
    '-f',
    'rawvideo',
    '-',
  ];
  const { stdout } = await run('ffmpeg', args, { encoding: 'buffer', maxBuffer: OUTPUT_BYTES_MAX });
  return [0, 1, 2].map((channel) => {
    const values = stdout.filter((_, index) => index % 3 === channel);
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  });
}

export async function ffprobe(path: string, question: readonly string[]): Promise<unknown> {
  const { stdout } = await run('ffprobe', ['-v', 'error', ...question, '-of', 'json', '-i', `file:${path}`], {
    maxBuffer: OUTPUT_BYTES_MAX,
  });
  return JSON.parse(stdout);
}
