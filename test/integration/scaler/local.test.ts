/** The local fleet scales from zero and back: for a job, and for an override. */
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { type RunningCommand, enqueue, explain, scale, startStackCommand } from '../../support/commands.ts';
import { eventually } from '../../support/eventually.ts';
import { H264, ffmpeg, picture } from '../../support/media-clips.ts';
import { workersAre, workersOf } from '../../support/processes.ts';
import { testFolder } from '../../support/servers.ts';

let folder = '';
let localFolder = '';
let fleet: RunningCommand;
const clip = (): string => path.join(folder, 'clip.mp4');

beforeAll(async () => {
  folder = await testFolder();
  localFolder = path.join(folder, 'fleet');
  await ffmpeg([...picture({ size: '640x360', rate: '10', seconds: 4 }), ...H264, clip()]);
  fleet = startStackCommand({
    localFolder,
    environment: {
      FRAMEFLEET_LOG_LEVEL: 'debug',
      FRAMEFLEET_CAPACITY_MAX: '2',
      FRAMEFLEET_IDLE_SECONDS: '2',
      FRAMEFLEET_DRAIN_TARGET_SECONDS: '1',
    },
  });
  await fleet.said('The local fleet is running');
});
afterAll(async () => {
  fleet.child.kill('SIGTERM');
  await fleet.end;
  await rm(folder, { recursive: true, force: true });
});

interface LogLine {
  readonly time: string;
  readonly msg: string;
  readonly room?: string;
  readonly [field: string]: unknown;
}
async function logOf(part: 'producer' | 'scaler'): Promise<LogLine[]> {
  const text = await readFile(path.join(localFolder, 'shared', 'logs', `${part}.log`), 'utf8');
  const lines = text.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'));
  return lines.map((line) => JSON.parse(line) as LogLine);
}

test('a job scales the fleet out from zero at the next tick, and the fleet drains back to zero afterwards', async () => {
  expect(await workersOf(localFolder)).toEqual([]);
  const job = enqueue([clip(), '--json', '--batch', '5', '--out', path.join(folder, 'out.mp4')], {
    localFolder,
  });
  await workersAre(localFolder, 2);
  expect(JSON.parse((await job.end).stdout)).toMatchObject({
    state: 'completed',
    frames: 40,
    failedFrames: 0,
  });
  await workersAre(localFolder, 0);

  const opened = (await logOf('producer')).find(({ msg }) => msg === 'job opened');
  const scaler = (await logOf('scaler')).filter(({ room }) => room === 'scaler');
  const first = scaler.find(({ msg }) => msg === 'scaling out');
  expect(opened).toBeDefined();
  // A tick that was running when the job opened may have missed it. The next one has seen it.
  const between = scaler.filter(
    ({ msg, time }) =>
      (msg === 'tick' || msg === 'decision') && time > (opened?.time ?? '') && time < (first?.time ?? ''),
  );
  expect(between.filter(({ actions }) => (actions as string[]).length === 0).length).toBeLessThanOrEqual(1);

  const removals = scaler.filter(({ msg }) => msg === 'removing instances');
  expect(removals.length).toBeGreaterThan(0);
  expect(removals.every(({ reason, basis }) => reason === 'idle' && basis === 'drained')).toBe(true);
  // The explanation is about the last tick. The next tick sees that the instances are gone.
  await eventually('explain reports no instances', async () =>
    (await explain([], { localFolder }).end).stdout.includes('There are 0 instances. There should be 0.'),
  );
});

test('an override keeps two instances without work, and the fleet returns to zero when it expires', async () => {
  const setAt = Date.now();
  const { status, stdout } = await scale(['2', '--for', '60s', '--because', 'a demo'], { localFolder }).end;
  expect(stdout).toContain('exactly 2 instances');
  expect(status).toBe(0);
  await workersAre(localFolder, 2);
  await eventually('explain shows the override', async () =>
    /Override: exactly 2 instances, by .*“a demo”/.test((await explain([], { localFolder }).end).stdout),
  );
  const seen = new Set<number>();
  await eventually('less than its minute is left', async () => {
    seen.add((await workersOf(localFolder)).length);
    return Date.now() - setAt > 57_000;
  });
  expect([...seen]).toEqual([2]);
  await workersAre(localFolder, 0);
  expect((await scale([], { localFolder }).end).stdout).toBe('No override: the scaler decides.\n');
  const changes = (await logOf('scaler')).filter(({ msg }) => msg === 'override changed');
  expect(changes.map(({ change }) => change)).toEqual(['set', 'expired']);
});
