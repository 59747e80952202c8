/** Headers that lie, and limits that hold while a source is decoded. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { beforeAll, describe, expect, test } from 'vitest';

import { type DecodeLimits, decodeFrames } from '../../../producer/media/decode-frames.ts';
import { checkLimits, probeVideo } from '../../../shared/media/probe.ts';
import { H264, picture } from '../../support/media-clips.ts';
import { LIMITS, useMediaFolder } from '../../support/media-round-trip.ts';
import { withSampleTable } from '../../support/mp4-boxes.ts';
import { processesOf } from '../../support/processes.ts';

const { at, clip, decode } = useMediaFolder();
const run = promisify(execFile);
const DOOR = { framesMax: 1000, durationSecondsMax: 1000, pixelsMax: 1e6 };

async function decodeWithin(sourcePath: string, limits: Partial<DecodeLimits>): Promise<number> {
  const video = await probeVideo(sourcePath);
  checkLimits(video, { ...DOOR, ...limits });
  return (await Array.fromAsync(decodeFrames({ sourcePath, video, limits: { ...LIMITS, ...limits } })))
    .length;
}

/** 100 frames in 4 s. */
let mkv = '';
let mp4 = '';
let avi = '';
beforeAll(async () => {
  const clipOf = (name: string, codec: readonly string[]) =>
    clip(name, [...picture({ seconds: 4, size: '96x54' }), ...codec]);
  [mkv, mp4, avi] = await Promise.all([
    clipOf('four.mkv', H264),
    clipOf('four.mp4', H264),
    clipOf('four.avi', ['-c:v', 'mpeg4']),
  ]);
});

/** A copy of the .mkv that declares another duration, or none. */
async function lyingMkv(seconds: number | null): Promise<string> {
  const bytes = Buffer.from(
    (await readFile(mkv)).toString('latin1').replaceAll('DURATION', 'DURATIOM'),
    'latin1',
  );
  const duration = bytes.indexOf('448988', undefined, 'hex');
  if (seconds === null) bytes[duration] = 0xec;
  else bytes.writeDoubleBE(seconds * 1000, duration + 3);
  await writeFile(at('lying.mkv'), bytes);
  return at('lying.mkv');
}

/** A copy of the .avi that declares another number of frames. */
async function lyingAvi(frames: number): Promise<string> {
  const bytes = await readFile(avi);
  bytes.writeUInt32LE(frames, bytes.indexOf('strh') + 8 + 32);
  await writeFile(at('lying.avi'), bytes);
  return at('lying.avi');
}

async function lyingMp4(entries: number, count: number): Promise<string> {
  await writeFile(at('lying.mp4'), withSampleTable(await readFile(mp4), { entries, count, mdhdSeconds: 60 }));
  return at('lying.mp4');
}

describe('a frame count from a header is bounded by the bytes of the file', () => {
  test.for([
    ['a sample table of 4.3e9 frames', () => lyingMp4(1, 0xff_ff_ff_ff)],
    ['a sample table of 9.4e13 frames', () => lyingMp4(22_000, 0xff_ff_ff_ff)],
    ['an .avi of 4.3e9 frames', () => lyingAvi(0xff_ff_ff_f0)],
    ['an .mkv of a year', () => lyingMkv(31_536_000)],
    ['an .mkv of 1e300 s', () => lyingMkv(1e300)],
    ['an .mkv of NaN s', () => lyingMkv(NaN)],
  ] as const)('%s', async ([, make]) => {
    const video = await probeVideo(await make());
    const expected = video.frameCountExpected ?? 0;
    expect(Number.isSafeInteger(expected)).toBe(true);
    expect(expected).toBeLessThanOrEqual(Math.ceil(video.fileSizeBytes / 8));
  });

  test('a header that declares too few frames, or none, costs no frame', async () => {
    expect((await decode(await lyingAvi(3))).frames).toHaveLength(100);
    expect((await decode(await lyingMkv(0.5))).frames).toHaveLength(100);
    expect((await decode(await lyingMkv(null))).frames).toHaveLength(100);
  });

  test('a header that declares too many frames is not taken for a file that was cut off', async () => {
    expect((await decode(await lyingAvi(0xff_ff_ff_f0))).frames).toHaveLength(100);
    expect((await decode(await lyingMkv(31_536_000))).frames).toHaveLength(100);
  });
});

describe('a limit holds while the source is decoded, whatever its header says', () => {
  test.for([1, null, 31_536_000])('seconds, with a header that declares %s s', async (declared) => {
    await expect(decodeWithin(await lyingMkv(declared), { durationSecondsMax: 2 })).rejects.toMatchObject({
      code: 'SOURCE_TOO_LARGE',
      message: expect.stringContaining('the limit is 2 s'),
    });
  });

  test('frames', async () => {
    await expect(decodeWithin(await lyingAvi(3), { framesMax: 50 })).rejects.toMatchObject({
      code: 'SOURCE_TOO_LARGE',
      message: expect.stringContaining('the limit is 50 frames'),
    });
    expect(await decodeWithin(avi, { framesMax: 100, durationSecondsMax: 4 })).toBe(100);
  });

  test('wall time, the time of a consumer that takes no frame included', async () => {
    const video = await probeVideo(mkv);
    const limits = { ...LIMITS, wallSecondsMax: 0.2 };
    const takeSlowly = async (): Promise<void> => {
      for await (const _ of decodeFrames({ sourcePath: mkv, video, limits }))
        await new Promise((resolve) => setTimeout(resolve, 300));
    };
    await expect(takeSlowly()).rejects.toMatchObject({
      code: 'SOURCE_TOO_LARGE',
      message: expect.stringContaining('took longer than'),
    });
    expect(await processesOf(mkv)).toEqual([]);
  });
});

test('three million timestamps take a small part of a gigabyte, and come back from storage as they were', async () => {
  const program = fileURLToPath(new URL('../../support/read-timestamps.ts', import.meta.url));
  const { stdout } = await run(process.execPath, [program, '3000000']);
  const { residentKibMax, ...read } = JSON.parse(stdout) as Record<string, number>;
  const lastTick = 2_999_999 * 33 + (2_999_999 % 3);
  expect(read).toEqual({ frames: 3_000_000, lastTick, seconds: 99_000, crowded: 0 });
  expect(residentKibMax).toBeLessThan(400 * 1024);
});
