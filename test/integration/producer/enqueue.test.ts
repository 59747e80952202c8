/** `npm run enqueue` as a user runs it, with a private fleet on this machine or with the fleet of `npm start`. */
import { copyFile, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type CommandEnd, type RunningCommand, enqueue, startStackCommand } from '../../support/commands.ts';
import { H264, ffmpeg, picture, pictureTimes, soundPackets, tone } from '../../support/media-clips.ts';
import { processesOf } from '../../support/processes.ts';
import { testFolder } from '../../support/servers.ts';

let folder = '';
const at = (name: string): string => path.join(folder, name);

async function run(...args: string[]): Promise<CommandEnd> {
  return enqueue(args, { localFolder: at('fleet') }).end;
}
/** On the fleet that stays up, so that not every job starts one. */
async function runOnSharedFleet(...args: string[]): Promise<CommandEnd> {
  return enqueue(args, { localFolder: at('shared-fleet') }).end;
}

async function nothingIsLeft(): Promise<void> {
  expect(await processesOf(at('fleet'))).toEqual([]);
  const left = await readdir(at('fleet')).catch(() => []);
  expect(left.filter((name) => name.startsWith('run-'))).toEqual([]);
}

beforeAll(async () => {
  folder = await testFolder();
  const [seen, heard] = [picture({ size: '160x90', rate: '12', seconds: 2 }), tone({ seconds: 2 })];
  await ffmpeg([...seen, ...heard, ...H264, '-c:a', 'aac', '-movflags', '+faststart', at('clip.mp4')]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('enqueue writes a styled result beside the video, with the same frames and the same sound', async () => {
  const { status, stdout, stderr } = await run(at('clip.mp4'), '--style', 'candy');
  expect(stderr).toContain('24/24 frames');
  expect(stdout).toBe(`${at('clip.candy.mp4')}\n`);
  expect(status).toBe(0);
  const [before, after] = await Promise.all([
    pictureTimes(at('clip.mp4')),
    pictureTimes(at('clip.candy.mp4')),
  ]);
  expect(after.seconds).toEqual(before.seconds);
  expect(await soundPackets(at('clip.candy.mp4'))).toEqual(await soundPackets(at('clip.mp4')));
  await nothingIsLeft();
});

describe('on a fleet that stays up', () => {
  let fleet: RunningCommand;
  beforeAll(async () => {
    fleet = startStackCommand({ localFolder: at('shared-fleet') });
    await fleet.said('The local fleet is running');
  });
  afterAll(async () => {
    fleet.child.kill('SIGINT');
    await fleet.end;
  });

  test('with --json and --force, enqueue prints one object and replaces an existing file', async () => {
    await writeFile(at('asked.mp4'), 'old');
    const { status, stdout, stderr } = await runOnSharedFleet(
      at('clip.mp4'),
      '--json',
      '--batch',
      '5',
      '--out',
      at('asked.mp4'),
      '--force',
    );
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({
      state: 'completed',
      output: at('asked.mp4'),
      frames: 24,
      failedFrames: 0,
    });
    expect((await pictureTimes(at('asked.mp4'))).seconds).toHaveLength(24);
    expect(status).toBe(0);
  });

  test.each(['-y "two  words" \'quoted\' 100%d %03d.mp4', 'ビデオ été #1 ?.mp4', 'a:b;$(exit 3).mp4'])(
    'enqueue accepts a file name with characters that are special to a shell or ffmpeg: %s',
    async (name) => {
      await copyFile(at('clip.mp4'), at(name));
      const file = `./${path.relative(process.cwd(), at(name))}`;
      const { status, stdout, stderr } = await runOnSharedFleet('--', file);
      expect(stderr).toContain('24/24 frames');
      expect(stdout).toBe(`${at(name.replace(/mp4$/, 'painter.mp4'))}\n`);
      expect(status).toBe(0);
    },
  );

  test.each([
    ['an unknown style', ['--style', 'crayon'], 65, 'STYLE_UNKNOWN', /starry-night, great-wave/],
    ['an unknown model', ['--model', 'nobody'], 65, 'MODEL_UNKNOWN', /painter \(3\)/],
  ] as const)(
    'the fleet rejects %s, with a reason and a hint',
    async (_name, args, expectedStatus, code, hint) => {
      const { status, stdout } = await runOnSharedFleet(at('clip.mp4'), '--json', ...args);
      expect(JSON.parse(stdout)).toMatchObject({ error: { code, hint: expect.stringMatching(hint) } });
      expect(status).toBe(expectedStatus);
    },
  );

  test('the fleet rejects a truncated video', async () => {
    const bytes = await readFile(at('clip.mp4'));
    await writeFile(at('cut.mp4'), bytes.subarray(0, Math.floor(bytes.length * 0.6)));
    const { status, stdout } = await runOnSharedFleet(at('cut.mp4'), '--json');
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'SOURCE_TRUNCATED' } });
    expect(status).toBe(65);
  });
});

test('a private fleet stops after a job that failed', async () => {
  const { status, stdout } = await run(at('clip.mp4'), '--json', '--style', 'crayon');
  expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'STYLE_UNKNOWN' } });
  expect(status).toBe(65);
  await nothingIsLeft();
});

describe('enqueue rejects invalid arguments with a reason and a hint', () => {
  beforeAll(async () => {
    await writeFile(at('empty.mp4'), '');
    await writeFile(at('text.mp4'), 'This is not a video.\n');
    await mkdir(at('folder.mp4'));
    await writeFile(at('clip.taken.mp4'), 'from an earlier run');
    await ffmpeg(['-i', at('clip.mp4'), '-vn', '-c', 'copy', at('sound-only.mp4')]);
  });

  test.each([
    ['a missing file', ['missing.mp4'], 66, /there is no file/],
    ['a folder without images', ['folder.mp4'], 65, /There is no image in the folder/],
    ['a deadline that has passed', ['clip.mp4', '--deadline', '2020-01-01T00:00Z'], 64, /has passed/],
    ['a style that no model can have', ['clip.mp4', '--style', 'red:green'], 64, /such as great-wave/],
    ['an empty file', ['empty.mp4'], 65, /is empty/],
    ['text named .mp4', ['text.mp4'], 65, /is a text file, not a video/],
    ['sound without a picture', ['sound-only.mp4'], 65, /no video track/],
    [
      'an output that is a missing folder',
      ['clip.mp4', '--out', '/nowhere/at/all.mp4'],
      73,
      /Cannot write the result to/,
    ],
    ['an output name that is too long', ['clip.mp4', '--out', `${'n'.repeat(252)}.mp4`], 73, /too long/],
    ['an output that already exists', ['clip.mp4', '--style', 'taken'], 73, /already exists[^]*--force/],
    ['an output with another extension', ['clip.mp4', '--out', '/tmp/result.avi'], 64, /will be a \.mp4/],
    ['an unknown option', ['clip.mp4', '--colour', 'red'], 64, /[Uu]nknown option/],
    ['no file', [], 64, /[Mm]issing required argument/],
    ['a batch of zero frames', ['clip.mp4', '--batch', '0'], 64, /from 1 to 512/],
    ['--detach without a permanent fleet', ['clip.mp4', '--detach'], 64, /npm start/],
  ] as const)('%s', async (_name, [file, ...args], expectedStatus, sentence) => {
    const { status, stdout, stderr } = await run(...(file === undefined ? [] : [at(file)]), ...args);
    expect(stderr).toMatch(sentence);
    expect(stderr.trim().split('\n').length).toBeGreaterThanOrEqual(2);
    expect(stdout).toBe('');
    expect(status).toBe(expectedStatus);
    await nothingIsLeft();
  });
});

test('enqueue rejects a URL in place of a file', async () => {
  const { status, stderr } = await run('https://example.org/clip.mp4');
  expect(stderr).toContain('it is a URL, not a file');
  expect(stderr).toContain('docs/errors.md#source_missing');
  expect(status).toBe(66);
});

test('enqueue reports configured storage that does not answer, and starts no fleet instead', async () => {
  const nowhere =
    'DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;BlobEndpoint=http://127.0.0.1:9/a';
  const options = { localFolder: at('fleet'), environment: { FRAMEFLEET_MEDIA_STORAGE: nowhere } };
  const checked = await enqueue([at('clip.mp4')], options).end;
  expect(checked.stderr).toContain('network: cannot reach 127.0.0.1:9: connection refused');
  expect(checked.status).toBe(69);
  const unchecked = await enqueue([at('clip.mp4'), '--no-doctor'], options).end;
  expect(unchecked.stderr).toMatch(/Cannot reach the media storage.*\n.*FRAMEFLEET_MEDIA_STORAGE/);
  expect(unchecked.status).toBe(69);
  await nothingIsLeft();
});
