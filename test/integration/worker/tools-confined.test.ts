/**
 * The limits of the ffmpeg that decodes a worker's pieces and encodes its segments, looked up in the running processes and tried on them.
 * Limits on what a piece may hold are in lying-pieces.test.ts.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile, readdir, readlink, writeFile } from 'node:fs/promises';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { DEFAULT_ENCODING } from '../../../shared/contract/encoding.ts';
import type { PieceFormat } from '../../../shared/contract/piece.ts';
import { startTool } from '../../../shared/media/tool-process.ts';
import { FramePool } from '../../../worker/engine/frame-pool.ts';
import { PieceDecoder, PieceMismatchError } from '../../../worker/engine/piece-decoder.ts';
import { SegmentEncoder } from '../../../worker/engine/segment-encoder.ts';
import { BUILT_PICTURE } from '../../support/build-batch.ts';
import { eventually } from '../../support/eventually.ts';
import { H264, ffmpegOutput, picture } from '../../support/media-clips.ts';
import { pieceFormatOf, useMediaFolder } from '../../support/media-round-trip.ts';
import { processesOf } from '../../support/processes.ts';

const { at, clip } = useMediaFolder();
const FRAMES = 30;
const SIZE = { width: 334, height: 190 };
const SECRETS = { FRAMEFLEET_MEDIA_STORAGE: 'AccountKey=secret', IDENTITY_HEADER: 'secret' };

let clipPath = '';
let format: PieceFormat;
let piece: Buffer;

beforeAll(async () => {
  Object.assign(process.env, SECRETS);
  const { width, height } = SIZE;
  clipPath = await clip('clip.mp4', [
    ...picture({ size: `${width}x${height}`, seconds: FRAMES / 25 }),
    ...H264,
  ]);
  format = await pieceFormatOf(clipPath);
  piece = await nut(['-i', clipPath, '-c', 'copy']);
});
afterAll(() => {
  for (const name of Object.keys(SECRETS)) Reflect.deleteProperty(process.env, name);
});

function nut(args: readonly string[]): Promise<Buffer> {
  return ffmpegOutput([...args, '-map', '0:v:0', '-f', 'nut', '-']);
}

/** Decodes all frames of a piece. Calls back after the first one, while ffmpeg waits: the next frame does not fit into its pipe. */
async function decode(
  bytes: Uint8Array,
  planned: PieceFormat = format,
  onFirst: (pid: number) => Promise<unknown> = () => Promise.resolve(),
  count = FRAMES,
): Promise<number> {
  const { width, height } = planned;
  const pool = new FramePool({ buffers: 2, bytesPerBuffer: width * height * 3 });
  const { signal } = new AbortController();
  const whole = { name: 'a piece', skip: 0, count, isToEnd: true, stalledMs: 300_000 };
  await using decoder = await PieceDecoder.start({ ...whole, bytes, format: planned, signal }, pool);
  let frames = 0;
  for await (const frame of decoder.frames()) {
    pool.giveBack(frame);
    if (frames === 0) await onFirst(await pidOf(`zscale=w=${width}:h=${height}:`));
    frames += 1;
  }
  return frames;
}

/** The one process with this text in its arguments. */
async function pidOf(argument: string): Promise<number> {
  const processes = await processesOf(argument);
  expect(processes).toHaveLength(1);
  return processes[0]?.pid ?? 0;
}

/** The soft and the hard limits of a process, by the kernel's names. */
async function limitsOf(pid: number): Promise<Record<string, string>> {
  const lines = (await readFile(`/proc/${pid}/limits`, 'utf8')).split('\n');
  const columns = lines.map((line) => /^(Max [a-z ]+?) {2,}(\w+) +(\w+)/.exec(line) ?? []);
  return Object.fromEntries(columns.map(([, name = '', soft, hard]) => [name, `${soft} ${hard}`]));
}

/** What the descriptors of a process refer to, without their numbers. */
async function openFiles(pid: number): Promise<string[]> {
  const descriptors = await readdir(`/proc/${pid}/fd`);
  const targets = await Promise.all(descriptors.map((one) => readlink(`/proc/${pid}/fd/${one}`)));
  return targets.map((target) => target.replace(/\d+/g, 'N'));
}

/** Lowers a limit of a running process. */
async function lower(pid: number, limit: string): Promise<void> {
  await promisify(execFile)('prlimit', ['--pid', String(pid), `--${limit}`]);
}

async function expectConfined(pid: number): Promise<void> {
  expect(await readFile(`/proc/${pid}/environ`, 'utf8')).toBe('');
  expect(await limitsOf(pid)).toMatchObject({
    'Max cpu time': '3600 3600',
    'Max address space': `${16 * 2 ** 30} ${16 * 2 ** 30}`,
    'Max open files': '64 64',
    'Max core file size': '0 0',
  });
  // Standard input, output and error; no file and no connection of this process. Pipes may come from what started the tests. ONNX Runtime, where
  // the process has loaded it, keeps an empty log open that its children inherit.
  const files = await openFiles(pid);
  expect(files.filter((file) => file.startsWith('socket:')).length).toBeLessThanOrEqual(3);
  for (const file of files)
    expect(file).toMatch(/^(?:socket|pipe):\[N\]$|framefleet-pipe-.*\(deleted\)$|^\/tmp\/mat-debug-N\.log$/);
}

describe('the process', () => {
  test('that decodes has an empty environment, limits, and no file of the worker', async () => {
    expect(await decode(piece, format, expectConfined)).toBe(FRAMES);
  });

  test('that encodes has an empty environment, limits, and no file of the worker', async () => {
    const shape = { ...SIZE, picture: BUILT_PICTURE, encoding: DEFAULT_ENCODING };
    await using encoder = new SegmentEncoder(shape, new AbortController().signal);
    const argument = `${SIZE.width}x${SIZE.height}`;
    const found = await eventually('the encoder runs', async () =>
      (await processesOf(argument)).find(({ command }) => command.includes('-video_size')),
    );
    await expectConfined(found.pid);
    await encoder.write(new Uint8Array(SIZE.width * SIZE.height * 3));
    expect((await encoder.finish()).length).toBeGreaterThan(0);
  });

  test('that decodes is killed when its CPU time is used up, which is a mismatch', async () => {
    const still = ['-f', 'lavfi', '-i', 'color=size=1288x728:rate=25:duration=12'];
    const path = await clip('long.mp4', [...still, ...H264, '-preset', 'ultrafast']);
    const long = await nut(['-i', path, '-c', 'copy']);
    const decoding = decode(long, await pieceFormatOf(path), (pid) => lower(pid, 'cpu=1'), 300);
    await expect(decoding).rejects.toThrow(
      /was killed while decoding a piece .* CPU time|the output ends after/,
    );
  });

  test('that decodes cannot have more memory than its limit, which is a mismatch', async () => {
    const sizes = [
      ['16x16', 40],
      ['2400x1600', 12],
    ] as const;
    const parts = sizes.map(([size, frames]) =>
      ffmpegOutput([
        ...picture({ size, seconds: frames / 25 }),
        ...H264,
        '-preset',
        'ultrafast',
        '-f',
        'mpegts',
        '-',
      ]),
    );
    const joined = at('grows.ts');
    await writeFile(joined, Buffer.concat(await Promise.all(parts)));
    const grows = await nut(['-i', joined, '-c', 'copy']);
    const planned = { ...format, width: 2202, height: 1402 };
    // Without the limit, all frames are decoded.
    expect(await decode(grows, planned, undefined, 52)).toBe(52);
    // Below what it has: what it frees meanwhile does not count.
    const leaveNoRoom = async (pid: number): Promise<void> => {
      const status = await readFile(`/proc/${pid}/status`, 'utf8');
      await lower(pid, `as=${Number(/VmSize:\s+(\d+)/.exec(status)?.[1]) * 512}`);
    };
    await expect(decode(grows, planned, leaveNoRoom, 52)).rejects.toThrow(PieceMismatchError);
  });
});

describe('a piece that names another source', () => {
  let server: Server;
  let requests = 0;
  let url = '';
  beforeAll(async () => {
    server = createServer((_request, response) => {
      requests += 1;
      response.end();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/clip.ts`;
  });
  afterAll(() => server.close());

  const script = (): Buffer => Buffer.from(`ffconcat version 1.0\nfile 'file:${clipPath}'\n`);
  const playlist = (address: string): Buffer =>
    Buffer.from(`#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.2,\n${address}\n#EXT-X-ENDLIST\n`);

  test('is not read as a list', async () => {
    for (const bytes of [script(), playlist(url), playlist(`file:${clipPath}`)])
      for (const container of ['nut', 'matroska'] as const)
        await expect(decode(bytes, { ...format, container })).rejects.toThrow(PieceMismatchError);
    expect(requests).toBe(0);
  });

  /** The arguments of a decoder, for another demuxer. */
  async function argumentsFor(demuxer: string, options: readonly string[]): Promise<string[]> {
    let text = '';
    await decode(piece, format, async (pid) => {
      text = await readFile(`/proc/${pid}/cmdline`, 'utf8');
    });
    const [, ...args] = text.split('\0').slice(0, -1);
    const demuxerAt = args.indexOf('nut');
    expect(args[demuxerAt - 1]).toBe('-f');
    return args.toSpliced(demuxerAt, 1, demuxer, ...options);
  }

  test.for([
    ['a script with a file', 'concat', ['-safe', '0'], script],
    ['a playlist with a file', 'hls', ['-allowed_extensions', 'ALL'], () => playlist(`file:${clipPath}`)],
    ['a playlist with an address', 'hls', ['-allowed_extensions', 'ALL'], () => playlist(url)],
  ] as const)(
    'may use no protocol but the pipe, even if it is read as %s',
    async ([, demuxer, options, make]) => {
      const run = async (args: readonly string[]): Promise<unknown> => {
        const limits = { cpuSecondsMax: 60 };
        const tool = {
          program: 'ffmpeg',
          args,
          activity: 'testing',
          stdin: 'pipe',
          stdout: 'pipe',
          limits,
        } as const;
        const { stdin, stdout, finished } = startTool(tool);
        stdout.resume();
        stdin.end(make());
        return finished;
      };
      const args = await argumentsFor(demuxer, options);
      await expect(run(args)).rejects.toThrow(/Protocol '(?:file|http)' not on whitelist 'pipe'/);
      expect(requests).toBe(0);
    },
  );

  test('would be followed without that limit', async () => {
    await writeFile(at('list.ffconcat'), script());
    const list = ['-safe', '0', '-f', 'concat', '-i', at('list.ffconcat'), '-f', 'framecrc', '-'];
    const lines = String(await ffmpegOutput(list)).split('\n');
    expect(lines.filter((line) => line.startsWith('0,'))).toHaveLength(FRAMES);
  });
});
