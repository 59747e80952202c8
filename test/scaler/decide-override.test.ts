/** Overrides, and what a decision says about itself. */
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
  buildOverride,
  inWords,
  later,
} from '../support/build-observation.ts';

const ZERO_BELIEVED: Memory = { ...INITIAL_MEMORY, zeroReadings: POLICY_DEFAULTS.zeroReadingsMin };
const LONG_IDLE: SeenInstance = { says: 'idle', sinceMs: 400_000 };
const BUSY: SeenInstance = { says: 'busy' };
/** An hour of work for one engine: twelve instances finish it in the target time. */
const AN_HOUR = [buildJob(3600)];

function outcome(seen: Observation, policy: Partial<Policy> = {}, memory = ZERO_BELIEVED): unknown[] {
  const { decision } = decide(seen, { ...POLICY_DEFAULTS, ...policy }, memory);
  return [inWords(decision), decision.reason, decision.capacityDesired];
}

describe('an override', () => {
  const asked = (mode: 'fixed' | 'min' | 'max' | 'pause', capacity: number | null, forMs?: number) => ({
    override: buildOverride(mode, capacity, forMs),
  });

  test('sets a floor, a ceiling, or both, never above the maximum capacity', () => {
    const none = buildObservation([], asked('fixed', 3));
    expect(outcome(none)).toEqual(['out local 3', 'override', 3]);
    expect(outcome(buildObservation([], asked('min', 2)))).toEqual(['out local 2', 'override', 2]);
    expect(outcome(buildObservation([], asked('min', 99)))).toEqual(['out local 10', 'override', 10]);
    const limited = buildObservation([], { ...asked('max', 2), backlog: AN_HOUR });
    expect(outcome(limited)).toEqual(['out local 2', 'work-waits', 2]);
    const paused = buildObservation([], { ...asked('pause', null), backlog: AN_HOUR });
    expect(outcome(paused)).toEqual(['hold', 'override', 0]);
  });

  test('drains the surplus at once: idle instances first, then booting ones, then busy ones', () => {
    const instances: readonly SeenInstance[] = [BUSY, { says: 'none', ageMs: 1_000 }, { says: 'idle' }];
    const words = (mode: 'fixed' | 'pause', capacity: number | null) =>
      outcome(buildObservation(instances, { ...asked(mode, capacity), backlog: AN_HOUR }))[0];
    expect([words('fixed', 2), words('fixed', 1), words('pause', null)]).toEqual([
      'drain override vm-2',
      'drain override vm-2 vm-1',
      'drain override vm-2 vm-1 vm-0',
    ]);
  });

  test('applies when the queue and the ledger cannot be read', () => {
    const unread = { messagesApprox: null, backlog: null };
    expect(outcome(buildObservation([], { ...asked('fixed', 2), ...unread }))[0]).toBe('out local 2');
    expect(outcome(buildObservation([BUSY], { ...asked('pause', null), ...unread }))[0]).toBe(
      'drain override vm-0',
    );
  });

  test('has no effect once it has expired', () => {
    expect(outcome(buildObservation([LONG_IDLE], asked('min', 1, -1)))[0]).toBe('drain idle vm-0');
  });

  test('applies as last known until it expires when it cannot be read', () => {
    const { memory } = decide(buildObservation([LONG_IDLE], asked('min', 1)), POLICY_DEFAULTS, ZERO_BELIEVED);
    const unread = buildObservation([LONG_IDLE], { override: 'unknown' });
    expect(decide(unread, POLICY_DEFAULTS, memory).decision.reason).toBe('minimum');
    expect(inWords(decide(later(unread, 600_000), POLICY_DEFAULTS, memory).decision)).toBe('drain idle vm-0');
  });
});

test('a decision has its steps, its numbers and the next event', () => {
  const seen = buildObservation([{ says: 'idle', sinceMs: 100_000 }, BUSY], {
    backlog: [buildJob(600)],
    messagesApprox: 5,
  });
  const { decision } = decide(seen, POLICY_DEFAULTS, INITIAL_MEMORY);
  expect(decision.steps.map(({ name }) => name)).toEqual([
    'backlog',
    'queue',
    'in-time',
    'worth-booting',
    'batches',
    'wanted',
    'busy',
    'bounds',
    'alive',
  ]);
  expect(decision.numbers).toMatchObject({
    framesRemaining: 600,
    wanted: 2,
    alive: 2,
    idle: 1,
    busy: 1,
    missing: 0,
  });
  expect(decision.next).toEqual({ kind: 'next-tick', at: null });
  const idle = decide(
    buildObservation([{ says: 'idle', sinceMs: 100_000 }]),
    POLICY_DEFAULTS,
    ZERO_BELIEVED,
  ).decision;
  expect(idle.next).toEqual({ kind: 'idle-drained', at: new Date(AT_MS + 200_000) });
});

test('the memory survives JSON unchanged', () => {
  const seen = buildObservation(
    [BUSY, { says: 'idle', heardMs: 100_000 }, { says: 'none', ageMs: 700_000 }, BUSY],
    {
      override: buildOverride('max', 3),
      backlog: AN_HOUR,
    },
  );
  const { memory } = decide(seen, POLICY_DEFAULTS, INITIAL_MEMORY);
  expect(JSON.parse(JSON.stringify(memory))).toEqual(memory);
});
