/** Who is asked to drain, and when. An idle window that nobody has measured is five minutes. */
import { describe, expect, test } from 'vitest';

import { decide } from '../../scaler/decide/decide.ts';
import { type Memory, NOTHING_REMEMBERED } from '../../scaler/decide/memory.ts';
import type { Observation } from '../../scaler/observe/observation.ts';
import type { Policy } from '../../scaler/policy.ts';
import {
  AT_MS,
  POLICY,
  type SeenMachine,
  buildJob,
  buildObservation,
  inWords,
  later,
} from '../support/build-observation.ts';

const ZERO_BELIEVED: Memory = { ...NOTHING_REMEMBERED, zeroReadings: POLICY.zeroReadingsMin };
const LONG_IDLE: SeenMachine = { says: 'idle', sinceMs: 400_000 };
const BUSY: SeenMachine = { says: 'busy' };

function outcome(seen: Observation, policy: Partial<Policy> = {}, memory = ZERO_BELIEVED): unknown[] {
  const { decision } = decide(seen, { ...POLICY, ...policy }, memory);
  return [inWords(decision), decision.reason, decision.capacityDesired];
}

describe('in', () => {
  test('who has been idle for the window is asked to drain, all at once', () => {
    expect(outcome(buildObservation([LONG_IDLE, LONG_IDLE]))).toEqual([
      'drain idle vm-0 vm-1',
      'idle-too-long',
      0,
    ]);
  });

  test('the window is the measured cold start, within bounds', () => {
    const idle = (sinceMs: number, bootMs: number | null) =>
      outcome(buildObservation([{ says: 'idle', sinceMs }], { bootMs }))[1];
    expect([idle(299_000, null), idle(300_000, null)]).toEqual(['idle-window', 'idle-too-long']);
    expect([idle(119_000, 120_000), idle(120_000, 120_000)]).toEqual(['idle-window', 'idle-too-long']);
    expect([idle(59_000, 5_000), idle(60_000, 5_000)]).toEqual(['idle-window', 'idle-too-long']);
    expect([idle(899_000, 5_000_000), idle(900_000, 5_000_000)]).toEqual(['idle-window', 'idle-too-long']);
  });

  test('zero is believed when it was read twice', () => {
    const seen = buildObservation([LONG_IDLE]);
    const first = decide(seen, POLICY, NOTHING_REMEMBERED);
    expect([inWords(first.decision), first.decision.reason]).toEqual(['hold', 'zero-not-confirmed']);
    expect(decide(seen, POLICY, first.memory).decision.reason).toBe('idle-too-long');
  });

  test('who is busy stays, whatever queue and ledger say, and the others go', () => {
    expect(outcome(buildObservation([BUSY, LONG_IDLE]))).toEqual(['drain idle vm-1', 'idle-too-long', 1]);
  });

  test('those that fell idle a little later are waited for: one scale-in', () => {
    const nearly: SeenMachine = { says: 'idle', sinceMs: 280_000 };
    const seen = buildObservation([LONG_IDLE, nearly]);
    expect(outcome(seen)).toEqual(['hold', 'idle-window', 0]);
    expect(outcome(later(seen, 20_000))[0]).toBe('drain idle vm-0 vm-1');
  });

  test('but not for longer than half a window', () => {
    const seen = buildObservation([
      { says: 'idle', sinceMs: 450_000 },
      { says: 'idle', sinceMs: 10_000 },
    ]);
    expect(outcome(seen)[0]).toBe('drain idle vm-0');
  });

  test('work that is thin enough for fewer lets the others go, though each gets a bit of it', () => {
    const briefly: SeenMachine = { says: 'idle', sinceMs: 20_000 };
    const seen = buildObservation([briefly, briefly, BUSY], { backlog: [buildJob(60)] });
    const first = decide(seen, POLICY, NOTHING_REMEMBERED);
    expect(inWords(first.decision)).toBe('hold');
    // They go on falling idle anew: what counts is that they were not wanted.
    const after = { ...seen, now: new Date(seen.now.getTime() + 600_000), atMs: AT_MS + 600_000 };
    const heard = buildObservation([], { workers: later(seen, 600_000).workers }).workers;
    expect(inWords(decide({ ...after, workers: heard }, POLICY, first.memory).decision)).toMatch(
      /^drain idle/,
    );
  });

  test('the dearest go first, the base on demand stays', () => {
    const pools = [
      { name: 'spot', kind: 'spot' },
      { name: 'on-demand', kind: 'on-demand' },
    ] as const;
    const money = { pricePerHour: { spot: 1, 'on-demand': 4 } };
    const machines = ['spot', 'on-demand', 'spot', 'on-demand'].map((pool) => ({ ...LONG_IDLE, pool }));
    const one = { pools, backlog: [buildJob(500)] };
    expect(outcome(buildObservation(machines, one), money)[0]).toBe('drain idle vm-1 vm-3 vm-0');
    expect(outcome(buildObservation(machines, one), { ...money, onDemandBase: 1 })[0]).toBe(
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

  test.each(UNREAD)(
    'where the %s cannot be read nobody goes, and no zero is counted',
    (_, fields, reason) => {
      const { decision, memory } = decide(buildObservation([LONG_IDLE], fields), POLICY, ZERO_BELIEVED);
      expect([inWords(decision), decision.reason, memory.zeroReadings]).toEqual(['hold', reason, 0]);
    },
  );

  test('nothing to do and nobody there is nothing to do', () => {
    expect(outcome(buildObservation([]))).toEqual(['hold', 'nothing-to-do', 0]);
  });

  test('so many as are always kept are kept, and started', () => {
    expect(outcome(buildObservation([LONG_IDLE]), { capacityMin: 1 })).toEqual(['hold', 'minimum', 1]);
    expect(outcome(buildObservation([]), { capacityMin: 2 })).toEqual(['out local 2', 'minimum', 2]);
  });
});
