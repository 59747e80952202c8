/** Figures of a tick, metrics, leftovers of removed instances, and the saved memory. */
import { describe, expect, test } from 'vitest';

import { findLeftovers } from '../../scaler/act/leftovers.ts';
import { recordOutcome } from '../../scaler/decide/blocked-pools.ts';
import { type Memory, INITIAL_MEMORY, parseMemory, toSavedMemory } from '../../scaler/decide/memory.ts';
import { scalerMetrics } from '../../scaler/metrics.ts';
import { POLICY_DEFAULTS } from '../../scaler/policy.ts';
import { blocksOf, fleetFigures, freshReports } from '../../scaler/tick-figures.ts';
import type { Tick } from '../../scaler/tick.ts';
import { ago, buildInstance, buildReport, buildSight, fleetOf, workersOf } from '../support/scaler-tick.ts';

const QUIET_TICK: Tick = {
  observation: buildSight(),
  decision: {
    actions: [],
    reason: 'nothing-to-do',
    capacityDesired: 0,
    steps: [],
    blockers: [],
    next: { kind: 'next-tick', at: null },
    numbers: {},
  },
  memory: INITIAL_MEMORY,
  remembered: INITIAL_MEMORY,
  spending: null,
  isLeading: true,
};

describe('worker figures', () => {
  test('include only workers with a recent heartbeat on existing instances', () => {
    const observation = buildSight({
      fleet: fleetOf(buildInstance('vm-1'), buildInstance('vm-2')),
      workers: workersOf(
        buildReport('vm-1', {}, ago(60)),
        buildReport('vm-2', {}, ago(61)),
        buildReport('vm-3', {}, ago(1)),
      ),
    });
    expect(freshReports(observation, POLICY_DEFAULTS).map(({ beat }) => beat.vmId)).toEqual(['vm-1']);
    const unseen = { ...observation, fleet: null };
    expect(freshReports(unseen, POLICY_DEFAULTS)).toHaveLength(2);
  });

  test('have labels from closed sets for any heartbeat', () => {
    const hostile = Array.from({ length: 1000 }, (_, index) =>
      buildReport(`vm-${index}`, { model: `model-${index}/1`, executionProvider: `gpu-${index}` }),
    );
    const figures = fleetFigures([...hostile, buildReport('vm-x', { executionProvider: null })]);
    expect(figures).toHaveLength(1001);
    expect(new Set(figures.map(({ model }) => model)).size).toBeLessThanOrEqual(22);
    expect(new Set(figures.map(({ provider }) => provider))).toEqual(new Set(['other', 'none']));
  });

  test('are summed by model and provider, and disappear with the workers', async () => {
    const metrics = scalerMetrics();
    const tick = (observation: ReturnType<typeof buildSight>) =>
      metrics.tick({ ...QUIET_TICK, observation }, POLICY_DEFAULTS);
    const scored = { model: 'painter/1', megapixelsPerSecond: 40 };
    tick(
      buildSight({
        fleet: fleetOf(buildInstance('vm-1'), buildInstance('vm-2')),
        workers: workersOf(buildReport('vm-1', scored), buildReport('vm-2', scored)),
      }),
    );
    const line = 'framefleet_fleet_megapixels_per_second{model="painter/1",provider="cuda"}';
    expect(await metrics.registry.metrics()).toContain(`${line} 80`);
    tick(buildSight());
    expect(await metrics.registry.metrics()).not.toContain(line);
  });
});

test('spending is not exposed until the total is known', async () => {
  const metrics = scalerMetrics();
  const shown = async () =>
    (await metrics.registry.metrics()).match(/^framefleet_scaler_(?:spending|machine_seconds)_total .*$/gm);
  metrics.tick(QUIET_TICK, POLICY_DEFAULTS);
  expect(await shown()).toBeNull();
  const total = { micros: 2_500_000, machineMs: 9_000 };
  metrics.tick({ ...QUIET_TICK, spending: { total, byJob: new Map(), chargedUpToMs: 0 } }, POLICY_DEFAULTS);
  expect(await shown()).toEqual([
    'framefleet_scaler_spending_total 2.5',
    'framefleet_scaler_machine_seconds_total 9',
  ]);
});

test('blocksOf() reports a pool for as long as the decision treats it as blocked', () => {
  const refusal = {
    reason: 'quota',
    message: 'full',
    capacityThatFits: null,
    retryAfterMs: 600_000,
  } as const;
  const memory = recordOutcome(INITIAL_MEMORY, 'gpu', { kind: 'refused', ...refusal }, 1_000_000);
  expect(blocksOf(memory, { atMs: 1_599_999 })).toEqual([{ pool: 'gpu', reason: 'quota' }]);
  expect(blocksOf(memory, { atMs: 1_600_000 })).toEqual([]);
  // The clock jumped back: the block would end later than any block can.
  expect(blocksOf(memory, { atMs: -3_000_000 })).toEqual([]);
});

describe('leftovers of removed instances', () => {
  const sight = buildSight({
    fleet: fleetOf(buildInstance('vm-1')),
    drainRequests: new Map([
      ['vm-1', 'e1'],
      ['vm-2', 'e2'],
    ]),
    workers: workersOf(
      buildReport('vm-1', {}, ago(100_000)),
      buildReport('vm-2', {}, ago(86_399)),
      buildReport('vm-3', {}, ago(86_401)),
    ),
  });

  test('are drain requests at once and heartbeats after a day', () => {
    expect(findLeftovers(sight)).toEqual({ drainRequests: ['vm-2'], heartbeats: ['vm-3-0'] });
  });

  test('are empty if the fleet, or the id of an instance, is unknown', () => {
    expect(findLeftovers({ ...sight, fleet: null })).toEqual({ drainRequests: [], heartbeats: [] });
    const fleet = fleetOf(buildInstance('vm-1'), buildInstance(null));
    expect(findLeftovers({ ...sight, fleet })).toEqual({ drainRequests: [], heartbeats: [] });
  });
});

test('a saved memory is restored, and one of another shape is rejected', () => {
  const block = { reason: 'quota', message: 'no', refusedAtMs: 5, untilMs: 9 } as const;
  const capacities = { capacityThatFits: null, capacitySeen: 2 };
  const memory: Memory = {
    ...INITIAL_MEMORY,
    zeroReadings: 3,
    surplus: { sinceMs: 5, least: 1 },
    blocked: { spot: { ...block, ...capacities, refusals: 2 } },
    changeRequestedAtMs: { spot: 5 },
  };
  const saved = toSavedMemory(memory);
  expect(parseMemory(JSON.parse(JSON.stringify(saved)))).toEqual(memory);
  // Other releases read these names.
  expect(saved).toMatchObject({ blocked: { spot: { attempts: 2 } }, askedAtMs: { spot: 5 } });
  expect(parseMemory(undefined)).toBeUndefined();
  expect(parseMemory('zero')).toBeUndefined();
  expect(parseMemory({})).toBeUndefined();
  expect(parseMemory({ ...saved, zeroReadings: 'three' })).toBeUndefined();
  expect(parseMemory({ ...saved, blocked: undefined })).toBeUndefined();
});
