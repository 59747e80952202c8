/** `npm run doctor` as a user runs it, and what `enqueue` makes of it before a fleet's first job. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { type CommandEnd, doctor, enqueue } from '../../support/commands.ts';
import { H264, ffmpeg, picture } from '../../support/media-clips.ts';
import { type TestStorage, startTestStorage, testFolder } from '../../support/servers.ts';
import { publishModel } from '../../support/upload-job.ts';

let folder = '';
let storage: TestStorage;
const at = (name: string): string => path.join(folder, name);

beforeAll(async () => {
  folder = await testFolder();
  storage = await startTestStorage();
  await ffmpeg([...picture({ rate: '4' }), ...H264, at('clip.mp4')]);
});
afterAll(async () => {
  await storage[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const fleetOf = ({ media, system } = storage.connection) => ({
  FRAMEFLEET_MEDIA_STORAGE: media,
  FRAMEFLEET_SYSTEM_STORAGE: system,
});
const run = (environment: Record<string, string>, ...args: string[]): Promise<CommandEnd> =>
  doctor(args, { localFolder: at('fleet'), environment }).end;
async function findings(environment: Record<string, string>): Promise<Record<string, string>> {
  const { stdout } = await run(environment, '--json');
  const said = JSON.parse(stdout) as { findings: { topic: string; verdict: string; says: string }[] };
  return Object.fromEntries(said.findings.map(({ topic, verdict, says }) => [topic, `${verdict}: ${says}`]));
}
/** A PATH with Node on it, and nothing else. */
async function barePath(): Promise<string> {
  await mkdir(at('bin'), { recursive: true });
  return at('bin');
}

test('on a machine that can run the local fleet a line each says so', async () => {
  const { status, stdout, stderr } = await run({});
  expect(stdout).toMatch(/^right {4}ffmpeg {4}\d+\.\d+.*, with libx264 and mjpeg$/m);
  expect(stdout).toMatch(/^right {4}redis/m);
  expect(stdout).toMatch(/^right {4}ports {5}free ones can be had/m);
  expect(stdout).toMatch(/free for .*fleet$/m);
  expect(stderr).toMatch(/^0 wrong, \d+ warnings?, \d+ right\.$/m);
  expect(status).toBe(0);
});

test('where programs are missing each is named with how to get it, and the status tells', async () => {
  const { status, stdout, stderr } = await run({ PATH: await barePath() });
  expect(stdout).toMatch(/^wrong {4}ffmpeg {4}not installed.*\n +apt-get install -y ffmpeg$/m);
  expect(stdout).toMatch(/^wrong {4}redis {5}.*\n +apt-get install -y redis-server$/m);
  expect(stderr).toMatch(/^[34] wrong/m);
  expect(status).toBe(69);
});

test('a fleet behind storage is looked at where it is: network, clock, rights, models', async () => {
  const before = await findings(fleetOf());
  expect(before).toEqual({
    network: 'right: reached: 127.0.0.1',
    clock: expect.stringMatching(/^right: /) as string,
    rights: 'right: the 6 that were tried are there',
    models: 'wrong: none is published',
  });
  await publishModel(storage.blobs, 'painter', '1');
  expect(await findings(fleetOf())).toMatchObject({ models: 'right: painter@1' });
  // The tries left nothing behind.
  for (const container of ['incoming', 'models', 'control'] as const)
    expect(await storage.blobs.stat(container, 'doctor')).toBeUndefined();
});

test('whoever only uploads is asked about the media account only', async () => {
  const { media } = storage.connection;
  expect(await findings({ FRAMEFLEET_MEDIA_STORAGE: media })).toMatchObject({
    network: 'right: reached: 127.0.0.1',
    rights: 'right: the 2 that were tried are there',
  });
});

test('accounts that are not this fleet’s, and a key that is wrong, are told apart', async () => {
  const { media, system } = storage.connection;
  const swapped = await findings(fleetOf({ media: system, system: media }));
  expect(swapped['rights']).toMatch(
    /^wrong: the system account has no container models, no container control/,
  );
  const stranger = media.replace(/AccountKey=[^;]+/, `AccountKey=${Buffer.alloc(48, 7).toString('base64')}`);
  const { stdout } = await run(fleetOf({ media: stranger, system }));
  expect(stdout).toMatch(/^wrong {4}rights {4}the media account refuses the key$/m);
});

test('a storage that is away is said to be, and nothing hangs', async () => {
  const { media, system } = storage.connection;
  const away = media.replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:9');
  const found = await findings(fleetOf({ media: away, system }));
  expect(found['network']).toBe('wrong: 127.0.0.1:9, 127.0.0.1:9 cannot be reached: nobody listens there');
  expect(found['clock']).toBeUndefined();
  expect(found['rights']).toMatch(/^warning: the media account did not answer/);
});

test.each([
  ['half of a plan', ['--size', 'Standard_NC4as_T4_v3'], '--subscription'],
  [
    'a subscription that is none',
    ['--subscription', 'mine', '--location', 'x', '--size', 'y'],
    'az account show',
  ],
  ['a region with a space', ['--location', 'West Europe'], 'letters, digits'],
  ['no machines', ['--machines', '0'], '1 to 1000'],
  ['an option that there is not', ['--fix'], '--fix'],
])('%s is refused', async (_, args, named) => {
  const { status, stdout, stderr } = await run({}, ...args);
  expect({ status, stdout }).toEqual({ status: 64, stdout: '' });
  expect(stderr).toContain(named);
});

test('the first job of a fleet is not begun where something is wrong; the sentence says what, and how to go on', async () => {
  const localFolder = at('not-ready');
  const environment = fleetOf();
  for await (const { name } of storage.blobs.list('models', {})) await storage.blobs.remove('models', name);
  const { status, stderr } = await enqueue([at('clip.mp4'), '--detach'], { localFolder, environment }).end;
  expect(status).toBe(69);
  expect(stderr).toMatch(/^The fleet is not ready for a job:\n {2}models: none is published\n/m);
  expect(stderr).toContain('--no-doctor');
  const names = await Array.fromAsync(storage.blobs.list('incoming', {}));
  expect(names).toEqual([]);

  const insisted = await enqueue([at('clip.mp4'), '--detach', '--no-doctor'], { localFolder, environment })
    .end;
  expect(insisted.status).toBe(0);
});

test('what was right once is not looked at again', async () => {
  const localFolder = at('ready');
  await publishModel(storage.blobs, 'painter', '1');
  const job = () => enqueue([at('clip.mp4'), '--detach'], { localFolder, environment: fleetOf() }).end;
  expect((await job()).status).toBe(0);
  const remembered = await readFile(path.join(localFolder, 'checked.json'), 'utf8');
  expect(remembered).not.toContain('AccountKey');
  for await (const { name } of storage.blobs.list('models', {})) await storage.blobs.remove('models', name);
  expect((await job()).status).toBe(0);
  // Not to be read: it is made anew.
  await writeFile(path.join(localFolder, 'checked.json'), '{');
  expect((await job()).status).toBe(69);
});
