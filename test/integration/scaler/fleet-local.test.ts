/** Worker processes as a fleet. A stand-in replaces the worker program: only the process lifecycle matters here. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect, test } from 'vitest';

import { LOCAL_POOL, LocalProcesses } from '../../../scaler/fleet/local-processes.ts';
import { systemClock as clock } from '../../../shared/runtime/clock.ts';
import type { Environment } from '../../../shared/runtime/environment.ts';
import { isProcessAlive } from '../../../shared/runtime/process-alive.ts';
import {
  type FleetFixture,
  fleetContract,
  scaleOutTo,
  poolOf,
  waitForSnapshot,
} from '../../contract/fleet-contract.ts';
import { silentLog as log } from '../../support/silent-log.ts';

const PROGRAM = fileURLToPath(new URL('../../support/stand-in-worker.ts', import.meta.url));

interface LocalBench extends FleetFixture {
  readonly fleet: LocalProcesses;
  pidOf(vmId: string | null): Promise<number>;
}

async function openLocalBench(more: Environment = {}): Promise<LocalBench> {
  const folder = await mkdtemp(path.join(tmpdir(), 'framefleet-fleet-'));
  const environment = { STAND_IN_FOLDER: folder, ...more };
  const fleet = new LocalProcesses({ programPath: PROGRAM, environment, clock, log });
  return {
    fleet,
    pool: LOCAL_POOL,
    pass: () => undefined,
    pidOf: async (vmId) => Number(await readFile(path.join(folder, vmId ?? ''), 'utf8')),
    [Symbol.asyncDispose]: async () => {
      await fleet.removeAll();
      await rm(folder, { recursive: true });
    },
  };
}

fleetContract('worker processes', () => openLocalBench());

test('a worker that exits by itself lowers the capacity and can be replaced', async () => {
  await using fixture = await openLocalBench();
  const { instances } = await scaleOutTo(fixture, 2);
  const [dying, staying] = instances;
  process.kill(await fixture.pidOf(dying?.vmId ?? null), 'SIGKILL');
  const after = await waitForSnapshot(fixture, 'it is gone', (snapshot) => snapshot.instances.length === 1);
  expect(after.instances).toEqual([staying]);
  expect(poolOf(after, LOCAL_POOL)).toMatchObject({ capacity: 1, isChanging: false });
  expect((await scaleOutTo(fixture, 2)).instances).toHaveLength(2);
});

test('a worker that cannot start disappears and keeps no capacity', async () => {
  await using fixture = await openLocalBench({ STAND_IN_FAILS: 'yes' });
  expect(await fixture.fleet.scaleOut(LOCAL_POOL, 2)).toEqual({ kind: 'accepted' });
  const { pools } = await waitForSnapshot(
    fixture,
    'they are gone',
    ({ instances }) => instances.length === 0,
  );
  expect(pools).toMatchObject([{ capacity: 0 }]);
});

test('removeAll() ends every process, including starting ones, and prevents new ones', async () => {
  await using fixture = await openLocalBench();
  const { instances } = await scaleOutTo(fixture, 2);
  const pids = await Promise.all(instances.map(({ vmId }) => fixture.pidOf(vmId)));
  await fixture.fleet.scaleOut(LOCAL_POOL, 3);
  await fixture.fleet.removeAll();
  expect(pids.filter((pid) => isProcessAlive(pid))).toEqual([]);
  expect((await fixture.fleet.look()).instances).toEqual([]);
  expect(await fixture.fleet.scaleOut(LOCAL_POOL, 1)).toMatchObject({ kind: 'refused', reason: 'conflict' });
});
