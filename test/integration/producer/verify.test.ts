/** `npm run verify` on real files, as a program: what it prints and how it ends. */
import { describe, expect, test } from 'vitest';

import { verify } from '../../support/commands.ts';
import { H264, ffmpeg, picture, tone } from '../../support/media-clips.ts';
import { useMediaFolder } from '../../support/media-round-trip.ts';

const { at, clip, roundTrip } = useMediaFolder();

interface Checked {
  readonly matches: boolean;
  readonly checks: { readonly what: string; readonly result: string; readonly verdict: string }[];
}

const run = (...args: string[]) => verify(args, { localFolder: at('local') }).end;

async function checksOf(
  source: string,
  result: string,
): Promise<Checked & { readonly status: number | null }> {
  const { status, stdout } = await run(source, result, '--json');
  return { status, ...(JSON.parse(stdout) as Checked) };
}

async function remux(name: string, args: readonly string[]): Promise<string> {
  await ffmpeg([...args, at(name)]);
  return at(name);
}

const differing = ({ checks }: Checked) =>
  checks.filter(({ verdict }) => verdict === 'differs').map(({ what }) => what);

describe('a result of the join matches its source', () => {
  const av = [...picture({ rate: '30000/1001' }), ...tone({ rate: 44_100 }), ...H264];
  test.for([
    ['an .mp4 with AAC', 'a.mp4', [...av, '-c:a', 'aac']],
    ['an .mkv with Opus', 'b.mkv', [...av, '-c:a', 'libopus']],
    ['a transport stream, whose sound loses its ADTS headers', 'c.ts', [...av, '-c:a', 'aac']],
    ['an .mkv with PCM that starts late', 'd.mkv', ['-itsoffset', '3', ...av, '-c:a', 'pcm_s16le']],
    ['an .avi whose frames have no timestamps of their own', 'e.avi', [...av, '-c:a', 'mp3']],
    ['a video without sound', 'f.mp4', [...picture({ size: '63x47' }), ...H264, '-pix_fmt', 'yuv444p']],
  ] as const)('%s', async ([, name, args]) => {
    const sourcePath = await clip(name, args);
    const { resultPath } = await roundTrip(sourcePath);
    const checked = await checksOf(sourcePath, resultPath);
    expect(checked.checks.filter(({ verdict }) => verdict === 'differs')).toEqual([]);
    expect(checked).toMatchObject({ status: 0, matches: true });
  });
});

describe('a result differs if', () => {
  const sound = ['-c:a', 'aac'];
  const make = (name: string) =>
    clip(name, [...picture({ seconds: 2 }), ...tone({ seconds: 2 }), ...H264, ...sound]);

  test('it lacks a frame', async () => {
    const source = await make('frame.mp4');
    const short = await remux('short.mp4', [
      '-i',
      source,
      '-frames:v',
      '49',
      '-c:v',
      'libx264',
      '-c:a',
      'copy',
    ]);
    const checked = await checksOf(source, short);
    expect(checked.status).toBe(1);
    expect(differing(checked)).toEqual(['Frames']);
  });

  test('its frames are shown at other times', async () => {
    const source = await make('times.mp4');
    const late = ['-vf', String.raw`setpts=PTS+gte(N\,20)*0.02/TB`, '-vsync', 'passthrough'];
    const moved = await remux('moved.mp4', [
      '-i',
      source,
      ...late,
      '-c:v',
      'libx264',
      '-bf',
      '0',
      '-c:a',
      'copy',
    ]);
    expect(differing(await checksOf(source, moved))).toEqual(['Times']);
  });

  test('its sound is encoded again', async () => {
    const source = await make('again.mp4');
    const again = await remux('lossy.mp4', ['-i', source, '-c:v', 'copy', '-c:a', 'aac', '-b:a', '48k']);
    expect(differing(await checksOf(source, again))).toEqual(['Audio track 1']);
  });

  test('its sound is late', async () => {
    const source = await make('late.mkv');
    const offset = ['-itsoffset', '0.1', '-i', source, '-map', '0:v', '-map', '1:a'];
    const late = await remux('late-sound.mkv', ['-i', source, ...offset, '-c', 'copy']);
    expect(differing(await checksOf(source, late))).toEqual(['Audio track 1, times']);
  });

  test('its pictures are damaged, although every packet is there', async () => {
    const source = await make('whole.mp4');
    const noise = ['-bsf:v', 'noise=amount=50'];
    const damaged = await remux('damaged.mp4', ['-i', source, '-c', 'copy', ...noise]);
    expect(differing(await checksOf(source, damaged))).toEqual(['Decoding']);
  });

  test('it has no sound', async () => {
    const source = await make('silent.mp4');
    const silent = await remux('no-sound.mp4', ['-i', source, '-map', '0:v', '-c', 'copy']);
    expect(differing(await checksOf(source, silent))).toEqual(['Audio tracks']);
  });
});

test('sound that is converted without loss is noted', async () => {
  const source = await clip('pcm.mkv', [...picture({}), ...tone({}), ...H264, '-c:a', 'pcm_s16le']);
  const flac = await remux('flac.mkv', ['-i', source, '-c:v', 'copy', '-c:a', 'flac']);
  const { status, checks } = await checksOf(source, flac);
  expect(status).toBe(0);
  expect(checks.find(({ what }) => what === 'Audio track 1')).toMatchObject({
    verdict: 'note',
    result: expect.stringMatching(/^flac, \d+ packets, same samples$/) as string,
  });
});

test('the table names each check, and files that are no videos are refused', async () => {
  const source = await clip('table.mp4', [...picture({}), ...H264]);
  const { status, stdout, stderr } = await run(source, source);
  expect(status).toBe(0);
  expect(stdout).toMatch(/^Frames +25 +25 +ok$/m);
  expect(stderr).toContain('The result matches the source.');
  const missing = await run(source, at('none.mp4'));
  expect(missing.status).toBe(66);
  const noVideo = await run(source, import.meta.filename);
  expect(noVideo.status).toBe(65);
});
