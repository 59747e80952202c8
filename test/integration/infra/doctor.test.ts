/** `npm run doctor` as a user runs it, and how `enqueue` uses it before the first job of a fleet. */
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
  const said = JSON.parse(stdout) as { findings: { topic: string; verdict: string; message: string }[] };
  return Object.fromEntries(
    said.findings.map(({ topic, verdict, message }) => [topic, `${verdict}: ${message}`]),
  );
}
/** An empty folder, to use as the PATH. */
async function barePath(): Promise<string> {
  await mkdir(at('bin'), { recursive: true });
  return at('bin');
}

test('doctor prints ok for each check on a machine that can run the local fleet', async () => {
  const { status, stdout, stderr } = await run({});
  expect(stdout).toMatch(/^ok {7}ffmpeg {4}\d+\.\d+.*, with libx264 and mjpeg$/m);
  expect(stdout).toMatch(/^ok {7}redis/m);
  expect(stdout).toMatch(/^ok {7}ports {5}free ports are available/m);
  expect(stdout).toMatch(/free for .*fleet$/m);
  expect(stderr).toMatch(/^0 errors, \d+ warnings?, \d+ ok\.$/m);
  expect(status).toBe(0);
});

test('doctor names each missing program with the command to install it, and exits with status 69', async () => {
  const { status, stdout, stderr } = await run({ PATH: await barePath() });
  expect(stdout).toMatch(/^error {4}ffmpeg {4}not installed.*\n +Install it: apt-get install -y ffmpeg$/m);
  expect(stdout).toMatch(/^error {4}redis {5}.*\n +Install it: apt-get install -y redis-server$/m);
  expect(stderr).toMatch(/^[34] errors/m);
  expect(status).toBe(69);
});

test('doctor checks network, clock, rights and models of a fleet that is configured by its storage', async () => {
  const before = await findings(fleetOf());
  expect(before).toEqual({
    network: 'ok: reached: 127.0.0.1',
    clock: expect.stringMatching(/^ok: /) as string,
    rights: 'ok: all 7 access tests passed',
    models: 'error: no model is published',
  });
  await publishModel(storage.blobs, 'painter', '1');
  expect(await findings(fleetOf())).toMatchObject({ models: 'ok: painter@1' });
  // The access tests leave nothing behind.
  for (const container of ['incoming', 'models', 'control'] as const)
    expect(await storage.blobs.stat(container, 'doctor')).toBeUndefined();
});

test('doctor checks the media account only if no system account is configured', async () => {
  const { media } = storage.connection;
  expect(await findings({ FRAMEFLEET_MEDIA_STORAGE: media })).toMatchObject({
    network: 'ok: reached: 127.0.0.1',
    rights: 'ok: all 2 access tests passed',
  });
});

test('doctor distinguishes the accounts of another fleet from a wrong key', async () => {
  const { media, system } = storage.connection;
  const swapped = await findings(fleetOf({ media: system, system: media }));
  expect(swapped['rights']).toMatch(
    /^error: the system account has no container models, no container control/,
  );
  const stranger = media.replace(/AccountKey=[^;]+/, `AccountKey=${Buffer.alloc(48, 7).toString('base64')}`);
  const { stdout } = await run(fleetOf({ media: stranger, system }));
  expect(stdout).toMatch(/^error {4}rights {4}the media account rejects the key$/m);
});

test('doctor reports storage that does not respond, and does not hang', async () => {
  const { media, system } = storage.connection;
  const away = media.replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:9');
  const found = await findings(fleetOf({ media: away, system }));
  expect(found['network']).toBe('error: cannot reach 127.0.0.1:9, 127.0.0.1:9: connection refused');
  expect(found['clock']).toBeUndefined();
  expect(found['rights']).toMatch(/^warning: the media account did not respond/);
});

test.each([
  ['an incomplete plan', ['--size', 'Standard_NC4as_T4_v3'], '--subscription'],
  [
    'an invalid subscription ID',
    ['--subscription', 'mine', '--location', 'x', '--size', 'y'],
    'az account show',
  ],
  ['a region with a space', ['--location', 'West Europe'], 'letters, digits'],
  ['zero instances', ['--instances', '0'], '1 to 1000'],
  ['an unknown option', ['--fix'], '--fix'],
])('doctor rejects %s', async (_, args, named) => {
  const { status, stdout, stderr } = await run({}, ...args);
  expect({ status, stdout }).toEqual({ status: 64, stdout: '' });
  expect(stderr).toContain(named);
});

test('enqueue does not start the first job of a fleet that is not ready, and says why and how to override', async () => {
  const localFolder = at('not-ready');
  const environment = fleetOf();
  for await (const { name } of storage.blobs.list('models', {})) await storage.blobs.remove('models', name);
  const { status, stderr } = await enqueue([at('clip.mp4'), '--detach'], { localFolder, environment }).end;
  expect(status).toBe(69);
  expect(stderr).toMatch(/^The fleet is not ready for a job:\n {2}models: no model is published\n/m);
  expect(stderr).toContain('--no-doctor');
  const names = await Array.fromAsync(storage.blobs.list('incoming', {}));
  expect(names).toEqual([]);

  const overridden = await enqueue([at('clip.mp4'), '--detach', '--no-doctor'], { localFolder, environment })
    .end;
  // The job itself cannot run either, which is found before the upload.
  expect(overridden.status).toBe(65);
  expect(overridden.stderr).toMatch(/^Model painter does not exist\.$/m);
});

test('enqueue checks a fleet only until a check succeeds', async () => {
  const localFolder = at('ready');
  await publishModel(storage.blobs, 'painter', '1');
  const job = () => enqueue([at('clip.mp4'), '--detach'], { localFolder, environment: fleetOf() }).end;
  expect((await job()).status).toBe(0);
  const remembered = await readFile(path.join(localFolder, 'checked.json'), 'utf8');
  expect(remembered).not.toContain('AccountKey');
  for await (const { name } of storage.blobs.list('models', {})) await storage.blobs.remove('models', name);
  // The fleet is not checked again: the missing model is what stops the job.
  expect((await job()).status).toBe(65);
  // An unreadable file counts as missing.
  await writeFile(path.join(localFolder, 'checked.json'), '{');
  expect((await job()).status).toBe(69);
});
