/** The local fleet: kept up, found, broken and killed. Nothing is left running, nothing is left locked. */
import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';

import {
  type RunningCommand,
  enqueue,
  fetchResult,
  npmRun,
  startStackCommand,
} from '../../support/commands.ts';
import { eventually } from '../../support/eventually.ts';
import { H264, ffmpeg, picture, pictureTimes } from '../../support/media-clips.ts';
import { findProcess, processesOf } from '../../support/processes.ts';
import { testFolder } from '../../support/servers.ts';

const UP = 'The local fleet is up';
let folder = '';
let localFolder = '';
const clip = (): string => path.join(folder, 'clip.mp4');

beforeAll(async () => {
  folder = await testFolder();
  await ffmpeg([...picture({ size: '320x180', rate: '10', seconds: 6 }), ...H264, clip()]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const started: RunningCommand[] = [];
beforeEach(async () => {
  localFolder = path.join(await testFolder(), 'fleet');
});
afterEach(async () => {
  for (const { child } of started.splice(0)) child.kill('SIGKILL');
  await nothingIsLeft();
  await rm(path.dirname(localFolder), { recursive: true, force: true });
});

const startFleet = (): RunningCommand =>
  remember(startStackCommand({ localFolder, environment: { FRAMEFLEET_IDLE_SECONDS: '2' } }));
const startJob = (...args: string[]): RunningCommand => remember(enqueue([clip(), ...args], { localFolder }));
function remember(command: RunningCommand): RunningCommand {
  started.push(command);
  return command;
}

async function nothingIsLeft(): Promise<void> {
  await eventually(
    'no process of the fleet is left',
    async () => (await processesOf(localFolder)).length === 0,
  );
}

async function engineAtWork(): Promise<number> {
  const engine = await eventually('an engine runs', () => findProcess(localFolder, 'worker/engine/main.ts'));
  return engine.pid;
}

test('a fleet that is kept up serves a job, goes back to zero workers, and is taken down by Ctrl-C', async () => {
  const fleet = startFleet();
  await fleet.said(UP);
  expect(await findProcess(localFolder, 'worker/main.ts')).toBeUndefined();
  // The folder of the result goes while the job runs: in a fleet that stays up the result is fetched again.
  const gone = path.join(folder, 'gone');
  await mkdir(gone, { recursive: true });
  const job = startJob('--json', '--out', path.join(gone, 'result.mp4'));
  await engineAtWork();
  await rm(gone, { recursive: true });
  const { status, stdout } = await job.end;
  const { error } = JSON.parse(stdout) as { error: Record<string, string> };
  expect(error).toMatchObject({
    code: 'OUTPUT_NOT_WRITABLE',
    message: expect.stringContaining('the folder does not exist') as string,
    kept: expect.stringMatching(/^results\/.*\.mp4$/) as string,
  });
  expect(status).toBe(73);
  const jobId = error['kept']?.split('/')[1] ?? '';
  expect(error['hint']).toContain(`npm run fetch -- ${jobId} --out PATH`);
  const fetched = path.join(folder, 'fetched.mp4');
  const fetching = (...args: string[]) =>
    fetchResult([jobId, '--out', fetched, ...args], { localFolder }).end;
  expect(await fetching()).toMatchObject({ status: 0, stdout: `${fetched}\n` });
  expect((await pictureTimes(fetched)).seconds).toHaveLength(60);
  expect(await fetching()).toMatchObject({ status: 73 });
  expect(await fetching('--force', '--json')).toMatchObject({ status: 0, stderr: '' });
  const unknown = await fetchResult(['no-such-job'], { localFolder }).end;
  expect(unknown.stderr).toContain('Cannot fetch the result: there is no job no-such-job.');
  expect(unknown.status).toBe(66);
  await eventually(
    'no worker is left',
    async () => (await findProcess(localFolder, 'worker/main.ts')) === undefined,
  );
  fleet.child.kill('SIGINT');
  expect((await fleet.end).status).toBe(0);
  await nothingIsLeft();
});

test('a second fleet for the same folder is refused, and the first is none the worse for it', async () => {
  const fleet = startFleet();
  await fleet.said(UP);
  const { status, stderr } = await startFleet().end;
  expect(stderr).toContain('already running');
  expect(status).toBe(69);
  const { stdout } = await startJob('--json', '--detach').end;
  expect(JSON.parse(stdout)).toMatchObject({ state: 'submitted' });
});

test('a fleet that is stopped in the middle of a job goes on with it when it is started again', async () => {
  const first = startFleet();
  await first.said(UP);
  const { stdout } = await startJob('--json', '--detach').end;
  const { jobId } = JSON.parse(stdout) as { jobId: string };
  await engineAtWork();
  first.child.kill('SIGTERM');
  expect((await first.end).status).toBe(0);
  await nothingIsLeft();

  const second = startFleet();
  await second.said(UP);
  await eventually('the job of the first fleet is completed', async () => {
    const log = await readFile(path.join(localFolder, 'shared', 'logs', 'producer.log'), 'utf8');
    return log.split('\n').some((line) => line.includes('job completed') && line.includes(jobId));
  });
});

test('a killed fleet leaves nothing running and nothing locked: the next one serves', async () => {
  const first = startFleet();
  await first.said(UP);
  await startJob('--json', '--detach').end;
  await engineAtWork();
  first.child.kill('SIGKILL');
  await nothingIsLeft();

  const second = startFleet();
  await second.said(UP);
  const { status, stdout } = await startJob('--json', '--out', path.join(folder, 'after.mp4')).end;
  expect(JSON.parse(stdout)).toMatchObject({ state: 'completed', frames: 60 });
  expect(status).toBe(0);
});

test('killing the command in the middle of a job takes everything down', async () => {
  const job = startJob();
  await engineAtWork();
  job.child.kill('SIGKILL');
  await job.end;
  await nothingIsLeft();
});

test('killing the npm that runs the command takes everything down', async () => {
  const npm = remember(npmRun(['enqueue', '--', clip()], { localFolder }));
  await engineAtWork();
  npm.child.kill('SIGKILL');
  await nothingIsLeft();
});

test.each([
  ['Redis', 'redis-server'],
  ['storage emulator', 'azurite.js'],
  ['producer', 'producer/main.ts'],
  ['scaler', 'scaler/main.ts'],
])(
  'when the %s dies in the middle of a job, the command says so and takes the rest down',
  async (name, commandPart) => {
    const job = startJob();
    await engineAtWork();
    const part = await findProcess(localFolder, commandPart);
    expect(part).toBeDefined();
    process.kill(part?.pid ?? 0, 'SIGKILL');
    const { status, stderr } = await job.end;
    expect(stderr).toContain(`The ${name}`);
    expect(stderr).toContain('by SIGKILL');
    expect(status).toBe(69);
    await nothingIsLeft();
  },
);
