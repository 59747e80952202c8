import { expect, test } from 'vitest';

import { chargeCosts } from '../../scaler/costs/costs.ts';
import type { Charge, Spending } from '../../shared/redis/spending.ts';
import {
  ago,
  buildBacklog,
  buildInstance,
  buildReport,
  buildSight,
  fleetOf,
  workersOf,
} from '../support/scaler-tick.ts';

const MINUTE_MS = 60_000;

/** Charges a minute of two instances, of which the first has a worker that says this, and returns the machine time of each job. */
async function chargedFor(worker: { readonly state: 'busy' | 'idle'; readonly jobId: string | null }) {
  let charge: Charge | undefined;
  const spending = {
    read: () => Promise.resolve({ chargedUpToMs: ago(60).getTime() }),
    charge: (one: Charge) => Promise.resolve((charge = one) !== undefined),
    foldEarlierJobs: () => Promise.resolve(),
  } as unknown as Spending;
  const sight = buildSight({
    fleet: fleetOf(buildInstance('vm-0'), buildInstance('vm-1')),
    workers: workersOf(buildReport('vm-0', worker), buildReport('vm-1', { state: 'busy', jobId: 'small' })),
    backlog: [
      buildBacklog('small', { framesRemaining: 10 }),
      buildBacklog('large', { framesRemaining: 990 }),
    ],
  });
  await chargeCosts(sight, { spending, pricePerHour: {}, isLeading: true });
  return Object.fromEntries([...(charge?.byJob ?? [])].map(([job, { machineMs }]) => [job, machineMs]));
}

test('a machine with a batch is charged to the job of the batch, however much of other jobs waits', async () => {
  expect(await chargedFor({ state: 'busy', jobId: 'small' })).toEqual({ small: 2 * MINUTE_MS });
  expect(await chargedFor({ state: 'busy', jobId: 'large' })).toEqual({ small: MINUTE_MS, large: MINUTE_MS });
});

test.each([
  ['is idle', { state: 'idle', jobId: null }],
  ['does not name its job', { state: 'busy', jobId: null }],
  ['has a batch of a job that has ended', { state: 'busy', jobId: 'ended' }],
] as const)('a machine whose worker %s is shared by what is left of each job', async (_, worker) => {
  expect(await chargedFor(worker)).toEqual({ small: MINUTE_MS * 1.01, large: MINUTE_MS * 0.99 });
});
