/** A private fleet whose command or part is killed during a job: the command reports it, and no process is left. */
import { expect, test } from 'vitest';

import { inForm } from '../support/fault-form.ts';
import { LocalFleet } from '../support/local-fleet.ts';
import { findProcess } from '../support/processes.ts';

const PARTS = [
  ['Redis', 'redis-server'],
  ['storage emulator', 'azurite.js'],
  ['producer', 'producer/main.ts'],
  ['scaler', 'scaler/main.ts'],
] as const;
/** Each needs a fleet of its own: the short form has a server and a service. */
const PARTS_KILLED = inForm<readonly (typeof PARTS)[number][]>({ short: [PARTS[1], PARTS[3]], long: PARTS });

const fleet = new LocalFleet();

test('killing the command during a job ends all processes', async () => {
  const job = fleet.startJob();
  await fleet.engineRuns();
  job.child.kill('SIGKILL');
  await job.end;
  await fleet.nothingIsLeft();
});

test('killing the npm that runs the command ends all processes', async () => {
  const npm = fleet.startJobThroughNpm();
  await fleet.engineRuns();
  npm.child.kill('SIGKILL');
  await fleet.nothingIsLeft();
});

test.each(PARTS_KILLED)(
  'if the %s dies during a job, the command reports it and stops the rest',
  async (name, commandPart) => {
    const job = fleet.startJob();
    await fleet.engineRuns();
    const part = await findProcess(fleet.localFolder, commandPart);
    expect(part).toBeDefined();
    process.kill(part?.pid ?? 0, 'SIGKILL');
    const { status, stderr } = await job.end;
    expect(stderr).toContain(`The ${name}`);
    expect(stderr).toContain('by SIGKILL');
    expect(status).toBe(69);
    await fleet.nothingIsLeft();
  },
);
