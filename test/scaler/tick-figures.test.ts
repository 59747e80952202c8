/** Figures of a tick, and what machines leave behind. */
import { describe, expect, test } from 'vitest';

import { findLeftovers } from '../../scaler/act/leftovers.ts';
import { recordOutcome } from '../../scaler/decide/blocked-pools.ts';
import { NOTHING_REMEMBERED, parseMemory } from '../../scaler/decide/memory.ts';
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
  memory: NOTHING_REMEMBERED,
  remembered: NOTHING_REMEMBERED,
  spending: null,
  isLeading: true,
};

describe('figures of workers', () => {
  test('are of those that were heard lately, on machines that there are', () => {
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

  test('have labels from closed sets, whatever a worker says', () => {
    const hostile = Array.from({ length: 1000 }, (_, index) =>
      buildReport(`vm-${index}`, { model: `model-${index}/1`, executionProvider: `gpu-${index}` }),
    );
    const figures = fleetFigures([...hostile, buildReport('vm-x', { executionProvider: null })]);
    expect(figures).toHaveLength(1001);
    expect(new Set(figures.map(({ model }) => model)).size).toBeLessThanOrEqual(22);
    expect(new Set(figures.map(({ provider }) => provider))).toEqual(new Set(['other', 'none']));
  });

  test('are summed by model and provider, and gone when the workers are', async () => {
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

test('what was spent is not shown before it is known: a scaler that starts has not spent nothing', async () => {
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

test('a pool is shown as blocked as long as the decision takes it for blocked, by the same clock', () => {
  const refusal = {
    reason: 'quota',
    message: 'full',
    capacityThatFits: null,
    retryAfterMs: 600_000,
  } as const;
  const memory = recordOutcome(NOTHING_REMEMBERED, 'gpu', { kind: 'refused', ...refusal }, 1_000_000);
  expect(blocksOf(memory, { atMs: 1_599_999 })).toEqual([{ pool: 'gpu', reason: 'quota' }]);
  expect(blocksOf(memory, { atMs: 1_600_000 })).toEqual([]);
  // A clock that jumped back: further ahead than any block could last.
  expect(blocksOf(memory, { atMs: -3_000_000 })).toEqual([]);
});

describe('what machines leave behind', () => {
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

  test('are drain requests at once, and heartbeats after a day', () => {
    expect(findLeftovers(sight)).toEqual({ drainRequests: ['vm-2'], heartbeats: ['vm-3-0'] });
  });

  test('is nothing where the fleet is not known, or not by name', () => {
    expect(findLeftovers({ ...sight, fleet: null })).toEqual({ drainRequests: [], heartbeats: [] });
    const fleet = fleetOf(buildInstance('vm-1'), buildInstance(null));
    expect(findLeftovers({ ...sight, fleet })).toEqual({ drainRequests: [], heartbeats: [] });
  });
});

test('a saved memory is taken as it is, and one of another shape not at all', () => {
  const memory = { ...NOTHING_REMEMBERED, zeroReadings: 3, surplus: { sinceMs: 5, least: 1 } };
  expect(parseMemory(JSON.parse(JSON.stringify(memory)))).toEqual(memory);
  expect(parseMemory(undefined)).toBeUndefined();
  expect(parseMemory('zero')).toBeUndefined();
  expect(parseMemory({})).toBeUndefined();
  expect(parseMemory({ ...memory, zeroReadings: 'three' })).toBeUndefined();
  expect(parseMemory({ ...memory, blocked: undefined })).toBeUndefined();
});
