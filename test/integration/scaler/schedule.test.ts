/** The local fleet keeps instances ready while a window of the schedule is open, and an override replaces the schedule. */
import { rm } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { findReadyStack } from '../../../shared/command/local-stack.ts';
import { type RunningCommand, explain, scale, startStackCommand } from '../../support/commands.ts';
import { eventually } from '../../support/eventually.ts';
import { workersAre } from '../../support/processes.ts';
import { testFolder } from '../../support/servers.ts';

/** It has been open for an hour, and stays open for longer than this test runs. */
const opened = new Date(Date.now() - 3_600_000);
const OPEN = `${opened.getUTCMinutes()} ${opened.getUTCHours()} * * * for 20h in UTC at least 1`;

let folder = '';
let localFolder = '';
let fleet: RunningCommand;
beforeAll(async () => {
  folder = await testFolder();
  localFolder = path.join(folder, 'fleet');
  fleet = startStackCommand({
    localFolder,
    environment: { FRAMEFLEET_SCHEDULE: OPEN, FRAMEFLEET_CAPACITY_MAX: '2', FRAMEFLEET_IDLE_SECONDS: '2' },
  });
  await fleet.said('The local fleet is running');
});
afterAll(async () => {
  fleet.child.kill('SIGTERM');
  await fleet.end;
  await rm(folder, { recursive: true, force: true });
});

const explained = async (...args: string[]): Promise<string> =>
  (await explain(args, { localFolder }).end).stdout;
const scaleTo = (...args: string[]) => scale(args, { localFolder }).end;

async function metric(name: string): Promise<string | undefined> {
  const url = (await findReadyStack(localFolder))?.['FRAMEFLEET_SCALER_URL'];
  const text = await (await fetch(`${url}/metrics`)).text();
  return new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1];
}

test('an open window keeps an instance without work, and an override replaces the schedule until it ends', async () => {
  await workersAre(localFolder, 1);
  // Once the instance sends heartbeats.
  await eventually('explain says when the window ends', async () =>
    /Next: a window of the schedule ends at .* \(UTC\), in 19 h\./.test(await explained()),
  );
  const words = await explained();
  expect(words).toContain('The schedule asks for more instances than the work.');
  expect(words).toMatch(/the schedule asks for at least 1 until (?:\d{4}-\d\d-\d\d )?\d\d:\d\d \(UTC\)/);
  expect(await metric('framefleet_scaler_capacity_scheduled')).toBe('1');
  const closed = new Date(opened.getTime() - 3_600_000).toISOString();
  expect(await explained('--what-if', `at=${closed}`)).toContain('There would be 0.');

  const because = ['--for', '1h', '--because', 'holidays'];
  const none = await scaleTo('--schedule', 'none', ...because);
  expect(none.stdout).toContain('Override: no window of the schedule opens.');
  await workersAre(localFolder, 0);

  const more = await scaleTo('--schedule', OPEN.replace('at least 1', 'at least 2'), ...because);
  expect(more.status).toBe(0);
  await workersAre(localFolder, 2);
  expect(await explained()).toContain('an override replaces the schedule, until');
  expect(await metric('framefleet_scaler_override_active{mode="schedule"}')).toBe('1');

  await scaleTo('--end', '--because', 'over');
  await workersAre(localFolder, 1);
});

test('a schedule that is not one is refused by the command, with what is wrong', async () => {
  const wrong = '0 8 * * 1-5 for 10h in Europe/Berln at least 2';
  const { status, stderr } = await scaleTo('--schedule', wrong, '--for', '1h', '--because', 'x');
  expect(stderr).toContain('Expected the name of a time zone, such as Europe/Berlin or UTC');
  expect(status).toBe(64);
});
