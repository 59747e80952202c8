/** Wrong values in file headers, and limits that are enforced during decoding. */
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
const PROBE_LIMITS = { framesMax: 1000, durationSecondsMax: 1000, pixelsMax: 1e6 };

async function decodeWithin(sourcePath: string, limits: Partial<DecodeLimits>): Promise<number> {
  const video = await probeVideo(sourcePath);
  checkLimits(video, { ...PROBE_LIMITS, ...limits });
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

/** A copy of the .mkv that declares a wrong duration, or none. */
async function wrongMkv(seconds: number | null): Promise<string> {
  const bytes = Buffer.from(
    (await readFile(mkv)).toString('latin1').replaceAll('DURATION', 'DURATIOM'),
    'latin1',
  );
  const duration = bytes.indexOf('448988', undefined, 'hex');
  if (seconds === null) bytes[duration] = 0xec;
  else bytes.writeDoubleBE(seconds * 1000, duration + 3);
  await writeFile(at('wrong.mkv'), bytes);
  return at('wrong.mkv');
}

/** A copy of the .avi that declares a wrong number of frames. */
async function wrongAvi(frames: number): Promise<string> {
  const bytes = await readFile(avi);
  bytes.writeUInt32LE(frames, bytes.indexOf('strh') + 8 + 32);
  await writeFile(at('wrong.avi'), bytes);
  return at('wrong.avi');
}

/** A copy of the .mp4 with a wrong sample table. */
async function wrongMp4(entries: number, count: number): Promise<string> {
  await writeFile(at('wrong.mp4'), withSampleTable(await readFile(mp4), { entries, count, mdhdSeconds: 60 }));
  return at('wrong.mp4');
}

describe('the expected frame count is bounded by the file size for', () => {
  test.for([
    ['a sample table of 4.3e9 frames', () => wrongMp4(1, 0xff_ff_ff_ff)],
    ['a sample table of 9.4e13 frames', () => wrongMp4(22_000, 0xff_ff_ff_ff)],
    ['an .avi of 4.3e9 frames', () => wrongAvi(0xff_ff_ff_f0)],
    ['an .mkv of a year', () => wrongMkv(31_536_000)],
    ['an .mkv of 1e300 s', () => wrongMkv(1e300)],
    ['an .mkv of NaN s', () => wrongMkv(NaN)],
  ] as const)('%s', async ([, make]) => {
    const video = await probeVideo(await make());
    const expected = video.frameCountExpected ?? 0;
    expect(Number.isSafeInteger(expected)).toBe(true);
    expect(expected).toBeLessThanOrEqual(Math.ceil(video.fileSizeBytes / 8));
  });

  test('all frames are decoded when the header declares too few frames or none', async () => {
    expect((await decode(await wrongAvi(3))).frames).toHaveLength(100);
    expect((await decode(await wrongMkv(0.5))).frames).toHaveLength(100);
    expect((await decode(await wrongMkv(null))).frames).toHaveLength(100);
  });

  test('a file is not rejected as truncated when the header declares too many frames', async () => {
    expect((await decode(await wrongAvi(0xff_ff_ff_f0))).frames).toHaveLength(100);
    expect((await decode(await wrongMkv(31_536_000))).frames).toHaveLength(100);
  });
});

describe('decoding stops at the limit, whatever the header declares:', () => {
  test.for([1, null, 31_536_000])('duration, with a header that declares %s s', async (declared) => {
    await expect(decodeWithin(await wrongMkv(declared), { durationSecondsMax: 2 })).rejects.toMatchObject({
      code: 'SOURCE_TOO_LARGE',
      message: expect.stringContaining('the limit is 2 s'),
    });
  });

  test('number of frames', async () => {
    await expect(decodeWithin(await wrongAvi(3), { framesMax: 50 })).rejects.toMatchObject({
      code: 'SOURCE_TOO_LARGE',
      message: expect.stringContaining('the limit is 50 frames'),
    });
    expect(await decodeWithin(avi, { framesMax: 100, durationSecondsMax: 4 })).toBe(100);
  });

  test('wall time, including the time of a slow consumer', async () => {
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

test('three million timestamps use less than 400 MiB and survive a round trip through storage', async () => {
  const program = fileURLToPath(new URL('../../support/read-timestamps.ts', import.meta.url));
  const { stdout } = await run(process.execPath, [program, '3000000']);
  const { residentKibMax, ...read } = JSON.parse(stdout) as Record<string, number>;
  const lastTick = 2_999_999 * 33 + (2_999_999 % 3);
  expect(read).toEqual({ frames: 3_000_000, lastTick, seconds: 99_000, crowded: 0 });
  expect(residentKibMax).toBeLessThan(400 * 1024);
});
