/** The explanation of a decision in words, the what-if queries, and the status. */
import { describe, expect, test } from 'vitest';

import { explanationOf } from '../../scaler/api/explain/explanation.ts';
import { applyWhatIf, whatIfQuery } from '../../scaler/api/explain/what-if.ts';
import { when } from '../../scaler/api/explain/words.ts';
import { statusOf } from '../../scaler/api/status.ts';
import { decide } from '../../scaler/decide/decide.ts';
import { INITIAL_MEMORY } from '../../scaler/decide/memory.ts';
import type { Observation } from '../../scaler/observe/observation.ts';
import { POLICY_DEFAULTS } from '../../scaler/policy.ts';
import { scheduleSetting } from '../../scaler/schedule.ts';
import type { Tick } from '../../scaler/tick.ts';
import {
  NOW,
  ago,
  buildBacklog,
  buildInstance,
  buildReport,
  buildSight,
  fleetOf,
  workersOf,
} from '../support/scaler-tick.ts';

const POLICY = { ...POLICY_DEFAULTS, pricePerHour: { gpu: 0.5 } };
const OVERRIDE = {
  mode: 'fixed',
  capacity: 3,
  schedule: null,
  reason: 'demo at ten',
  author: 'ada@desk',
  setAt: ago(60),
  expiresAt: ago(-600),
} as const;

function buildTick(fields: Partial<Observation> = {}): Tick {
  const observation = buildSight(fields);
  const { decision, memory } = decide(observation, POLICY, INITIAL_MEMORY);
  return {
    observation,
    decision,
    memory: INITIAL_MEMORY,
    remembered: memory,
    spending: null,
    isLeading: true,
  };
}
const WORK = { backlog: [buildBacklog('job-1', { framesRemaining: 9000, batchesRemaining: 90 })] };

const IDLE = { policy: POLICY, framesPerSecond: null };

test('an explanation has the number of instances, the reason, each step of the calculation and the actions', () => {
  const tick = buildTick(WORK);
  const explanation = explanationOf(tick, POLICY, {});
  expect(explanation).toMatchObject({
    at: NOW.toISOString(),
    isLeading: true,
    whatIf: null,
    instances: 0,
    capacityDesired: tick.decision.capacityDesired,
    reason: 'work-waits',
    actions: [{ kind: 'scale-out', pool: 'gpu', total: tick.decision.capacityDesired }],
  });
  const words = explanation.words.join('\n');
  expect(words).toContain(`There are 0 instances. There should be ${tick.decision.capacityDesired}.`);
  expect(words).toContain('frames left: 9000, batches: 90');
  expect(words).toContain(`scale out gpu to ${tick.decision.capacityDesired} in total`);
  expect(words).toMatch(/Next: /);
  expect(words).not.toMatch(/undefined|NaN|\[object|\{\w+\}/);
});

test('an explanation has the author, reason and end of an override', () => {
  const words = explanationOf(buildTick({ override: OVERRIDE }), POLICY, {}).words.join('\n');
  expect(words).toContain('Override: exactly 3 instances, by ada@desk: “demo at ten”');
  expect(words).toContain('until 2026-11-23 06:25:00Z (in 10 min)');
});

test('an explanation says what is unknown', () => {
  const words = explanationOf(buildTick({ fleet: null, override: 'unknown' }), POLICY, {}).words.join('\n');
  expect(words).toContain('The number of instances is unknown.');
  expect(words).toContain('The fleet cannot be read');
  expect(words).toContain('Override: unknown. It cannot be read');
});

test('a scaler that does not lead says so and attributes the actions to the leader', () => {
  const { words } = explanationOf({ ...buildTick(WORK), isLeading: false }, POLICY, {});
  expect(words).toContain('Actions of the scaler that leads:');
  expect(words.at(-1)).toBe('This scaler is not leading. It takes no action.');
});

describe('a what-if query', () => {
  test('uses the same decision function and changes nothing', () => {
    const tick = buildTick();
    const before = structuredClone(tick);
    const explanation = explanationOf(tick, POLICY, whatIfQuery.parse({ backlog: '100000' }));
    expect(explanation).toMatchObject({ reason: 'work-waits', whatIf: { backlog: 100_000 } });
    expect(explanation.capacityDesired).toBe(POLICY.capacityMax);
    expect(explanation.words.join('\n')).toContain('There would be 10.');
    expect(tick).toEqual(before);
  });

  test('never asks for fewer instances when it supposes more frames', () => {
    const desired = [0, 10, 1000, 10_000, 100_000].map(
      (backlog) => explanationOf(buildTick(), POLICY, { backlog }).capacityDesired,
    );
    expect(desired).toEqual(desired.toSorted((a, b) => a - b));
    expect(desired[0]).toBe(0);
  });

  test('can change the limits', () => {
    const wide = explanationOf(buildTick(), POLICY, { backlog: 1_000_000, capacityMax: 40 });
    expect(wide.capacityDesired).toBe(40);
    const slow = explanationOf(buildTick(), POLICY, { backlog: 10_000, drainTargetSeconds: 86_400 });
    expect(slow.capacityDesired).toBe(1);
  });

  test('can suppose a time for the schedule and the override', () => {
    const schedule = scheduleSetting.parse('0 8 * * 1-5 for 10h in Europe/Berlin at least 2');
    const policy = { ...POLICY, schedule };
    const tick = buildTick({ override: { ...OVERRIDE, mode: 'min' } });
    const supposed = (at: string) => explanationOf(tick, policy, whatIfQuery.parse({ at }));
    expect(supposed('2026-11-23T06:20:00Z')).toMatchObject({ capacityDesired: 3, reason: 'override' });
    expect(supposed('2026-11-23T09:00:00+01:00')).toMatchObject({ capacityDesired: 2, reason: 'schedule' });
    expect(supposed('2026-11-23T17:00:00Z')).toMatchObject({ capacityDesired: 0, reason: 'nothing-to-do' });
  });

  test('takes model and frame size from the open job, unless it names them', () => {
    const observation = buildSight({
      backlog: [buildBacklog('job-1', { model: 'upscaler', megapixelsPerFrame: 8 })],
      ratesByModel: new Map([['upscaler', 16]]),
    });
    const supposed = (query: object) =>
      applyWhatIf(whatIfQuery.parse(query), observation, POLICY).observation.backlog;
    expect(supposed({ backlog: 600 })).toMatchObject([
      { model: 'upscaler', megapixelsPerFrame: 8, framesRemaining: 600, batchesRemaining: 10 },
    ]);
    expect(supposed({ backlog: 600, megapixelsPerFrame: 4 })).toMatchObject([{ batchesRemaining: 5 }]);
    expect(supposed({ backlog: 0 })).toEqual([]);
    expect(supposed({ messages: 5 })).toBe(observation.backlog);
  });

  test.each([
    { backlog: '-1' },
    { backlog: 'many' },
    { backlog: '1e300' },
    { frames: '5' },
    { capacityMax: '1.5' },
    { at: 'tomorrow' },
  ])('is refused with %j', (query) => {
    expect(whatIfQuery.safeParse(query).success).toBe(false);
  });
});

test.each([
  [-5, 'now'],
  [0, 'now'],
  [12, 'in 12 s'],
  [119, 'in 119 s'],
  [240, 'in 4 min'],
  [7199, 'in 120 min'],
  [86_400, 'in 24 h'],
])('when() prints %i s from now as %j', (seconds, text) => {
  expect(when(ago(-seconds), NOW)).toBe(text);
});

test('the status contains the fleet, its work and its cost as JSON', () => {
  const instances = [buildInstance('vm-1'), buildInstance('vm-2', { phase: 'creating' })];
  const tick = buildTick({
    ...WORK,
    fleet: fleetOf(...instances),
    workers: workersOf(buildReport('vm-1', { state: 'busy' }), buildReport('vm-9', { state: 'idle' })),
    bootMs: 240_000,
  });
  const byJob = new Map([
    ['job-1', { machineMs: 5000, micros: 1_500_000 }],
    ['unattributed', { machineMs: 1000, micros: 500_000 }],
  ]);
  const spending = { total: { machineMs: 6000, micros: 2_000_000 }, byJob, chargedUpToMs: 0 };
  expect(JSON.parse(JSON.stringify(statusOf({ ...tick, spending }, IDLE)))).toMatchObject({
    isLeading: true,
    capacity: { max: 10, min: 0 },
    pools: [{ name: 'gpu', kind: 'spot', capacity: 2, instances: { running: 1, creating: 1 } }],
    instances: [
      { vmId: 'vm-1', phase: 'running', workers: ['busy'] },
      { vmId: 'vm-2', phase: 'creating', workers: [] },
    ],
    workers: { busy: 1 },
    backlog: { framesRemaining: 9000, engineSeconds: 4500, jobs: [{ jobId: 'job-1' }] },
    bootSeconds: 240,
    override: null,
    spending: {
      perHour: 1,
      total: { machineSeconds: 6, spent: 2 },
      byJob: { 'job-1': { spent: 1.5 }, unattributed: { spent: 0.5 } },
    },
  });
  const blind = statusOf(buildTick({ fleet: null, workers: null, backlog: null, drainRequests: null }), IDLE);
  expect(blind).toMatchObject({ pools: null, instances: null, workers: null, backlog: null });
});
