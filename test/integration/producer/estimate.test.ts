/**
 * `npm run estimate` and `enqueue --estimate-first`, and what the job then took, on a real fleet on this machine with prices. How near an estimate
 * comes is not tested here, because it would depend on what else the machine does: `simulation/estimate.test.ts` tests it.
 */
import { rm } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';

import { jobActual } from '../../../shared/contract/job-actual.ts';
import { jobStatus } from '../../../shared/contract/job.ts';
import {
  type RunningCommand,
  enqueue,
  estimate,
  jobCommand,
  startStackCommand,
} from '../../support/commands.ts';
import { writeIdentityModel } from '../../support/identity-model.ts';
import { H264, ffmpeg, picture } from '../../support/media-clips.ts';
import { processesOf } from '../../support/processes.ts';
import { testFolder } from '../../support/servers.ts';
import { inTerminal } from '../../support/terminal.ts';

const FRAMES = 48;

let folder = '';
const at = (name: string): string => path.join(folder, name);

beforeAll(async () => {
  folder = await testFolder();
  await writeIdentityModel(at('models'));
  await ffmpeg([...picture({ size: '160x90', rate: '12', seconds: FRAMES / 12 }), ...H264, at('clip.mp4')]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const estimated = z.object({
  frames: z.int(),
  batches: z.int(),
  isMeasured: z.boolean(),
  basis: z.string(),
  machinesWanted: z.int(),
  wallSeconds: z.array(
    z.object({ machines: z.int(), machinesUsed: z.int(), seconds: z.number(), money: z.number().nullable() }),
  ),
});

test('an estimate needs no fleet and starts none; it says that nothing is measured yet', async () => {
  const { status, stdout } = await estimate([at('clip.mp4'), '--json', '--machines', '20,1'], {
    localFolder: at('none'),
  }).end;
  expect(status).toBe(0);
  const { basis, ...answer } = estimated.parse(JSON.parse(stdout));
  expect(answer).toMatchObject({ frames: FRAMES, batches: 3, isMeasured: false });
  expect(answer.wallSeconds).toMatchObject([
    { machines: 1, machinesUsed: 1, money: null },
    { machines: 20, machinesUsed: 3, money: null },
  ]);
  expect(basis).toContain('Not measured yet');
  expect(await processesOf(at('none'))).toEqual([]);
});

test.each([
  ['without a terminal', []],
  ['with --json', ['--json']],
])('enqueue --estimate-first is refused %s, unless the user agrees beforehand', async (_, more) => {
  const { status, stdout, stderr } = await enqueue([at('clip.mp4'), '--estimate-first', ...more], {
    localFolder: at('none'),
  }).end;
  expect(status).toBe(64);
  expect(stdout + stderr).toContain('--yes');
  expect(await processesOf(at('none'))).toEqual([]);
});

test('in a terminal, enqueue --estimate-first asks, and starts nothing if the answer is no', async () => {
  const command = `node producer/cli/enqueue.ts ${at('clip.mp4')} --estimate-first`;
  const session = inTerminal(command, { localFolder: at('none') });
  await session.shows('GPU HOURS');
  await session.shows('Start this job? [y/N]');
  session.type('no');
  expect(await session.end).toBe(130);
  expect(session.shown()).toContain('nothing is uploaded');
  expect(await processesOf(at('none'))).toEqual([]);
});

test('a job states what it took in parts that add up to what it was charged, and later estimates rest on it', async () => {
  const options = { localFolder: at('fleet') };
  const fleet: RunningCommand = startStackCommand({
    ...options,
    environment: { FRAMEFLEET_LOCAL_MODELS: at('models'), FRAMEFLEET_PRICES: 'local=3600' },
  });
  await fleet.said('The local fleet is running');
  const model = ['--model', 'identity', '--batch', '16'];
  const ended = await enqueue([at('clip.mp4'), ...model, '--estimate-first', '--yes', '--json'], options).end;
  expect(ended).toMatchObject({ status: 0, stderr: '' });
  const outcome = z
    .object({ jobId: z.string(), estimate: estimated, actual: jobActual })
    .parse(JSON.parse(ended.stdout));
  expect(outcome.estimate).toMatchObject({ frames: FRAMES, batches: 3, isMeasured: false });
  const { actual } = outcome;
  // A thousandth of the currency a millisecond. The parts are rounded one by one.
  expect(Math.abs((actual.micros?.total ?? 0) - actual.machineMs.total * 1000)).toBeLessThan(10_000);
  expect(actual.machineMs.inference + actual.machineMs.other).toBeGreaterThan(0);
  expect(actual.stages.map(({ name }) => name)).toEqual(['waiting', 'splitting', 'scoring', 'joining']);

  const shown = await jobCommand(['status', outcome.jobId, '--json'], options).end;
  const status = z
    .object({ actual: jobActual, spent: jobStatus.shape.spent.unwrap() })
    .parse(JSON.parse(shown.stdout));
  expect(status.actual).toEqual(actual);
  const charged = ((actual.micros?.total ?? 0) - (actual.micros?.idleExpected ?? 0)) / 1e6;
  expect(status.spent).toBeGreaterThanOrEqual(Number(charged.toPrecision(3)));

  const again = await estimate([at('clip.mp4'), ...model, '--json'], options).end;
  const later = estimated.parse(JSON.parse(again.stdout));
  expect(later).toMatchObject({ isMeasured: true, batches: 3 });
  expect(later.basis).toMatch(/^Measured on this fleet/);
  expect(later.wallSeconds[0]?.money).toBeGreaterThan(0);
  fleet.child.kill('SIGINT');
  await fleet.end;
});
