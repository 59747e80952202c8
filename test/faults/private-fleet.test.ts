/** A private fleet whose command or part is killed during a job: the command reports it, and no process is left. */
import { rm } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';

import { type RunningCommand, enqueue, npmRun } from '../support/commands.ts';
import { eventually } from '../support/eventually.ts';
import { inForm } from '../support/fault-form.ts';
import { H264, ffmpeg, picture } from '../support/media-clips.ts';
import { findProcess, processesOf } from '../support/processes.ts';
import { testFolder } from '../support/servers.ts';

const PARTS = [
  ['Redis', 'redis-server'],
  ['storage emulator', 'azurite.js'],
  ['producer', 'producer/main.ts'],
  ['scaler', 'scaler/main.ts'],
] as const;
/** Each needs a fleet of its own: the short form has a server and a service. */
const PARTS_KILLED = inForm<readonly (typeof PARTS)[number][]>({ short: [PARTS[1], PARTS[3]], long: PARTS });

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

const startJob = (): RunningCommand => remember(enqueue([clip()], { localFolder }));
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

async function anEngineRuns(): Promise<void> {
  await eventually('an engine runs', () => findProcess(localFolder, 'worker/engine/main.ts'));
}

test('killing the command during a job ends all processes', async () => {
  const job = startJob();
  await anEngineRuns();
  job.child.kill('SIGKILL');
  await job.end;
  await nothingIsLeft();
});

test('killing the npm that runs the command ends all processes', async () => {
  const npm = remember(npmRun(['enqueue', '--', clip()], { localFolder }));
  await anEngineRuns();
  npm.child.kill('SIGKILL');
  await nothingIsLeft();
});

test.each(PARTS_KILLED)(
  'if the %s dies during a job, the command reports it and stops the rest',
  async (name, commandPart) => {
    const job = startJob();
    await anEngineRuns();
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
