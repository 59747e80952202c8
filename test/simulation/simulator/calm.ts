/** A world without faults: jobs, machines and a cloud that do what they should. */
import { POLICY_DEFAULTS } from '../../../scaler/policy.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { type Episode, type Moment, runEpisode } from './episode.ts';
import type { ArrivingJob, Scenario } from './scenario.ts';

export const MINUTE_MS = 60_000;

export function buildArrivingJob(atMs: number, fields: Partial<ArrivingJob> = {}): ArrivingJob {
  return { atMs, batches: 60, batchMs: 20_000, framesPerBatch: 32, splitMs: 5_000, ...fields };
}

/** Runs an episode without faults. */
export function runCalmly(
  jobs: readonly ArrivingJob[],
  fields: Partial<Scenario> = {},
  onTick?: (moment: Moment) => void,
): Episode {
  const scenario: Scenario = {
    policy: { ...POLICY_DEFAULTS, capacityMax: 30 },
    tickMs: 5_000,
    calmAtMs: 0,
    endAtMs: 24 * 60 * MINUTE_MS,
    jobs,
    faults: [],
    overrides: [],
    pools: [{ name: 'local', kind: 'local' }],
    bootMs: 120_000,
    neverBoots: 0,
    hangs: 0,
    faulty: 0,
    calledFailed: 0,
    quota: 0,
    isDeallocated: false,
    scalers: 1,
    skewMs: 0,
    forgets: 0,
    requestsLost: 0,
    actLagMs: 0,
    ...fields,
  };
  return runEpisode({ random: seededRandom(3), scenario, ...(onTick === undefined ? {} : { onTick }) });
}
