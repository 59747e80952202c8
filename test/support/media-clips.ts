/**
 * Makes small clips from ffmpeg's test sources, and reads the frame times, the sound and the colours of a file.
 *
 * It calls ffmpeg and ffprobe directly, not through our code, so that its results are independent of the code under test.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const OUTPUT_BYTES_MAX = 256 * 1024 * 1024;

/** What ffmpeg writes to standard output with exactly these arguments. */
export async function ffmpegOutput(args: readonly string[]): Promise<Buffer> {
  const options = { encoding: 'buffer', maxBuffer: OUTPUT_BYTES_MAX } as const;
  return (await run('ffmpeg', ['-v', 'error', ...args], options)).stdout;
}

/** Runs ffmpeg with exactly these arguments. */
export async function ffmpeg(args: readonly string[]): Promise<void> {
  await run('ffmpeg', ['-hide_banner', '-nostdin', '-v', 'error', '-y', ...args]);
}

/** The input arguments for a moving test picture. */
export function picture({ size = '64x48', rate = '25', seconds = 1 }): string[] {
  // In YUV, the source of the picture would make an odd size even.
  const isOdd = size.split('x').some((side) => Number(side) % 2 === 1);
  const graph = `testsrc2=size=${size}:rate=${rate}:duration=${seconds}${isOdd ? ',format=gbrp' : ''}`;
  return ['-f', 'lavfi', '-i', graph];
}

/** The input arguments for a tone. */
export function tone({ hertz = 440, rate = 48_000, seconds = 1 }): string[] {
  return ['-f', 'lavfi', '-i', `sine=frequency=${hertz}:sample_rate=${rate}:duration=${seconds}`];
}

/** Encodes fast, with B-frames, so that the frames are decoded in another order than they are shown. */
export const H264 = ['-c:v', 'libx264', '-preset', 'veryfast', '-bf', '2', '-pix_fmt', 'yuv420p'];

type Colour = Readonly<Record<'r' | 'g' | 'b', number>>;
const PLAIN_RATE = 10;
const HEX = 16;

/** Makes a clip of 128×72 pixels at 10 frames/s, with so many frames of each colour one after the other, without loss. */
export async function plainClip(file: string, frames: readonly (readonly [Colour, number])[]): Promise<void> {
  const source = ({ r, g, b }: Colour, count: number): string => {
    const colour = [r, g, b].map((level) => level.toString(HEX).padStart(2, '0')).join('');
    return `color=c=0x${colour}:size=128x72:rate=${PLAIN_RATE}:duration=${count / PLAIN_RATE}`;
  };
  const inputs = frames.flatMap(([colour, count]) => ['-f', 'lavfi', '-i', source(colour, count)]);
  const concat = `concat=n=${frames.length}`;
  await ffmpeg([...inputs, '-filter_complex', concat, ...H264, '-crf', '0', file]);
}

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

/** The presentation time of each decoded frame of the first video track. */
export async function pictureTimes(path: string): Promise<PictureTimes> {
  const output = (await ffprobe(path, [
    '-select_streams',
    'v:0',
    '-show_entries',
    'frame=pts:stream=time_base',
  ])) as {
    frames: { pts: number }[];
    streams: { time_base: string }[];
  };
  const [numerator = 0, denominator = 1] = (output.streams[0]?.time_base ?? '').split('/').map(Number);
  const tickSeconds = numerator / denominator;
  return { seconds: output.frames.map(({ pts }) => pts * tickSeconds), tickSeconds };
}

/** For each audio track, in order: the hash, size and time of its packets. */
export async function soundPackets(
  path: string,
): Promise<{ hash: string; size: string; seconds: number }[][]> {
  const fields = ['-select_streams', 'a', '-show_packets', '-show_data_hash', 'md5'];
  const { packets } = (await ffprobe(path, fields)) as { packets: Packet[] };
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

/** The mean red, green and blue of all frames, 0 to 255, as a player without a colour profile shows them. */
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

export async function ffprobe(path: string, fields: readonly string[]): Promise<unknown> {
  const { stdout } = await run('ffprobe', ['-v', 'error', ...fields, '-of', 'json', '-i', `file:${path}`], {
    maxBuffer: OUTPUT_BYTES_MAX,
  });
  return JSON.parse(stdout);
}
