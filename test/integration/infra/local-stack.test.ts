/** The local fleet in normal use, stopped and killed during a job. `test/faults/private-fleet.test.ts` kills its parts. */
import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';

import { type RunningCommand, enqueue, fetchResult, startStackCommand } from '../../support/commands.ts';
import { eventually } from '../../support/eventually.ts';
import { H264, ffmpeg, picture, pictureTimes } from '../../support/media-clips.ts';
import { findProcess, processesOf } from '../../support/processes.ts';
import { testFolder } from '../../support/servers.ts';

const READY = 'The local fleet is running';
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

async function runningEngine(): Promise<number> {
  const engine = await eventually('an engine runs', () => findProcess(localFolder, 'worker/engine/main.ts'));
  return engine.pid;
}

test('a shared fleet runs a job, scales in to zero workers and stops on Ctrl-C', async () => {
  const fleet = startFleet();
  await fleet.said(READY);
  expect(await findProcess(localFolder, 'worker/main.ts')).toBeUndefined();
  // The folder of the result is deleted while the job runs. A shared fleet keeps the result for fetch.
  const gone = path.join(folder, 'gone');
  await mkdir(gone, { recursive: true });
  const job = startJob('--json', '--out', path.join(gone, 'result.mp4'));
  await runningEngine();
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

test('a second fleet for the same folder is rejected, and the first continues to work', async () => {
  const fleet = startFleet();
  await fleet.said(READY);
  const { status, stderr } = await startFleet().end;
  expect(stderr).toContain('already running');
  expect(status).toBe(69);
  const { stdout } = await startJob('--json', '--detach').end;
  expect(JSON.parse(stdout)).toMatchObject({ state: 'submitted' });
});

test('a fleet that is stopped during a job resumes the job after a restart', async () => {
  const first = startFleet();
  await first.said(READY);
  const { stdout } = await startJob('--json', '--detach').end;
  const { jobId } = JSON.parse(stdout) as { jobId: string };
  await runningEngine();
  first.child.kill('SIGTERM');
  expect((await first.end).status).toBe(0);
  await nothingIsLeft();

  const second = startFleet();
  await second.said(READY);
  await eventually('the job of the first fleet is completed', async () => {
    const log = await readFile(path.join(localFolder, 'shared', 'logs', 'producer.log'), 'utf8');
    return log.split('\n').some((line) => line.includes('job completed') && line.includes(jobId));
  });
});

test('a killed fleet leaves no processes and no lock, and the next fleet works', async () => {
  const first = startFleet();
  await first.said(READY);
  await startJob('--json', '--detach').end;
  await runningEngine();
  first.child.kill('SIGKILL');
  await nothingIsLeft();

  const second = startFleet();
  await second.said(READY);
  const { status, stdout } = await startJob('--json', '--out', path.join(folder, 'after.mp4')).end;
  expect(JSON.parse(stdout)).toMatchObject({ state: 'completed', frames: 60 });
  expect(status).toBe(0);
});
