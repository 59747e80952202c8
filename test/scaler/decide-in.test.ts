/** Scaling in: which instances drain, and when. The idle window is five minutes while no boot has been measured. */
import { describe, expect, test } from 'vitest';

import { decide } from '../../scaler/decide/decide.ts';
import { type Memory, INITIAL_MEMORY } from '../../scaler/decide/memory.ts';
import type { Observation } from '../../scaler/observe/observation.ts';
import { POLICY_DEFAULTS, type Policy } from '../../scaler/policy.ts';
import {
  AT_MS,
  type SeenInstance,
  buildJob,
  buildObservation,
  inWords,
  later,
} from '../support/build-observation.ts';

const ZERO_BELIEVED: Memory = { ...INITIAL_MEMORY, zeroReadings: POLICY_DEFAULTS.zeroReadingsMin };
const LONG_IDLE: SeenInstance = { says: 'idle', sinceMs: 400_000 };
const BUSY: SeenInstance = { says: 'busy' };

function outcome(seen: Observation, policy: Partial<Policy> = {}, memory = ZERO_BELIEVED): unknown[] {
  const { decision } = decide(seen, { ...POLICY_DEFAULTS, ...policy }, memory);
  return [inWords(decision), decision.reason, decision.capacityDesired];
}

describe('scaling in', () => {
  test('all instances that are idle for the whole window drain at once', () => {
    expect(outcome(buildObservation([LONG_IDLE, LONG_IDLE]))).toEqual([
      'drain idle vm-0 vm-1',
      'idle-too-long',
      0,
    ]);
  });

  test('the idle window is the measured cold start, within bounds', () => {
    const idle = (sinceMs: number, bootMs: number | null) =>
      outcome(buildObservation([{ says: 'idle', sinceMs }], { bootMs }))[1];
    expect([idle(299_000, null), idle(300_000, null)]).toEqual(['idle-window', 'idle-too-long']);
    expect([idle(119_000, 120_000), idle(120_000, 120_000)]).toEqual(['idle-window', 'idle-too-long']);
    expect([idle(59_000, 5_000), idle(60_000, 5_000)]).toEqual(['idle-window', 'idle-too-long']);
    expect([idle(899_000, 5_000_000), idle(900_000, 5_000_000)]).toEqual(['idle-window', 'idle-too-long']);
  });

  test('a zero counts once it has been read twice', () => {
    const seen = buildObservation([LONG_IDLE]);
    const first = decide(seen, POLICY_DEFAULTS, INITIAL_MEMORY);
    expect([inWords(first.decision), first.decision.reason]).toEqual(['hold', 'zero-not-confirmed']);
    expect(decide(seen, POLICY_DEFAULTS, first.memory).decision.reason).toBe('idle-too-long');
  });

  test('a busy instance stays, whatever the queue and the ledger report, and the others drain', () => {
    expect(outcome(buildObservation([BUSY, LONG_IDLE]))).toEqual(['drain idle vm-1', 'idle-too-long', 1]);
  });

  test('instances that fell idle a little later drain in the same scale-in', () => {
    const nearly: SeenInstance = { says: 'idle', sinceMs: 280_000 };
    const seen = buildObservation([LONG_IDLE, nearly]);
    expect(outcome(seen)).toEqual(['hold', 'idle-window', 0]);
    expect(outcome(later(seen, 20_000))[0]).toBe('drain idle vm-0 vm-1');
  });

  test('a scale-in waits for at most half a window', () => {
    const seen = buildObservation([
      { says: 'idle', sinceMs: 450_000 },
      { says: 'idle', sinceMs: 10_000 },
    ]);
    expect(outcome(seen)[0]).toBe('drain idle vm-0');
  });

  test('instances drain when the work needs fewer, although each of them gets a little of it', () => {
    const briefly: SeenInstance = { says: 'idle', sinceMs: 20_000 };
    const seen = buildObservation([briefly, briefly, BUSY], { backlog: [buildJob(60)] });
    const first = decide(seen, POLICY_DEFAULTS, INITIAL_MEMORY);
    expect(inWords(first.decision)).toBe('hold');
    // Each instance falls idle again and again. What counts is that they were not needed all the time.
    const after = { ...seen, now: new Date(seen.now.getTime() + 600_000), atMs: AT_MS + 600_000 };
    const heard = buildObservation([], { workers: later(seen, 600_000).workers }).workers;
    expect(inWords(decide({ ...after, workers: heard }, POLICY_DEFAULTS, first.memory).decision)).toMatch(
      /^drain idle/,
    );
  });

  test('the most expensive instances drain first, and the on-demand base stays', () => {
    const pools = [
      { name: 'spot', kind: 'spot' },
      { name: 'on-demand', kind: 'on-demand' },
    ] as const;
    const money = { pricePerHour: { spot: 1, 'on-demand': 4 } };
    const instances = ['spot', 'on-demand', 'spot', 'on-demand'].map((pool) => ({ ...LONG_IDLE, pool }));
    const one = { pools, backlog: [buildJob(500)] };
    expect(outcome(buildObservation(instances, one), money)[0]).toBe('drain idle vm-1 vm-3 vm-0');
    expect(outcome(buildObservation(instances, one), { ...money, onDemandBase: 1 })[0]).toBe(
      'drain idle vm-1 vm-0 vm-2',
    );
  });

  const UNREAD: readonly (readonly [string, Partial<Observation>, string])[] = [
    ['queue', { messagesApprox: null }, 'work-unknown'],
    ['ledger', { backlog: null }, 'work-unknown'],
    ['heartbeats', { workers: null }, 'workers-unknown'],
    ['drain requests', { drainRequests: null }, 'workers-unknown'],
    ['fleet', { fleet: null }, 'fleet-unknown'],
  ];

  test.each(UNREAD)('nothing drains and no zero counts when the %s cannot be read', (_, fields, reason) => {
    const { decision, memory } = decide(
      buildObservation([LONG_IDLE], fields),
      POLICY_DEFAULTS,
      ZERO_BELIEVED,
    );
    expect([inWords(decision), decision.reason, memory.zeroReadings]).toEqual(['hold', reason, 0]);
  });

  test('an empty fleet without work holds', () => {
    expect(outcome(buildObservation([]))).toEqual(['hold', 'nothing-to-do', 0]);
  });

  test('the minimum capacity is started and kept', () => {
    expect(outcome(buildObservation([LONG_IDLE]), { capacityMin: 1 })).toEqual(['hold', 'minimum', 1]);
    expect(outcome(buildObservation([]), { capacityMin: 2 })).toEqual(['out local 2', 'minimum', 2]);
  });
});
