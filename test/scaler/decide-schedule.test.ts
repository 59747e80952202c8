/** The schedule in a decision: its bounds, its place beside overrides and limits, and how it is explained. */
import { describe, expect, test } from 'vitest';

import { explainInWords } from '../../scaler/api/explain/words.ts';
import { decide } from '../../scaler/decide/decide.ts';
import { type Memory, INITIAL_MEMORY } from '../../scaler/decide/memory.ts';
import type { Observation } from '../../scaler/observe/observation.ts';
import { POLICY_DEFAULTS, type Policy, checkedPolicy } from '../../scaler/policy.ts';
import { scheduleSetting } from '../../scaler/schedule.ts';
import {
  type SeenInstance,
  buildJob,
  buildObservation,
  buildOverride,
  inWords,
  later,
} from '../support/build-observation.ts';

const MINUTE_MS = 60_000;
const ZERO_BELIEVED: Memory = { ...INITIAL_MEMORY, zeroReadings: POLICY_DEFAULTS.zeroReadingsMin };
const LONG_IDLE: SeenInstance = { says: 'idle', sinceMs: 400_000 };
const BUSY: SeenInstance = { says: 'busy' };
const AN_HOUR = [buildJob(3600)];

/** Observations are made at 06:00 UTC, which is 07:00 in Berlin. */
const schedule = (text: string) => scheduleSetting.parse(text);
const OPEN = schedule('0 6 * * * for 11h in Europe/Berlin at least 2');
const IN_AN_HOUR = schedule('0 7 * * * for 2h in UTC at least 2');

function decided(seen: Observation, policy: Partial<Policy> = { schedule: OPEN }, memory = ZERO_BELIEVED) {
  return decide(seen, checkedPolicy({ ...POLICY_DEFAULTS, ...policy }), memory).decision;
}

function outcome(...given: Parameters<typeof decided>): unknown[] {
  const decision = decided(...given);
  return [inWords(decision), decision.reason, decision.capacityDesired];
}

describe('an open window', () => {
  test('sets the least number of instances, with or without work', () => {
    expect(outcome(buildObservation([]))).toEqual(['out local 2', 'schedule', 2]);
    expect(outcome(buildObservation([LONG_IDLE, LONG_IDLE]))).toEqual(['hold', 'schedule', 2]);
    expect(outcome(buildObservation([LONG_IDLE, LONG_IDLE, LONG_IDLE]))).toEqual([
      'drain idle vm-0',
      'idle-too-long',
      2,
    ]);
    expect(outcome(buildObservation([BUSY], { backlog: AN_HOUR }))[1]).toBe('work-waits');
  });

  test('counts when the queue and the ledger cannot be read', () => {
    expect(outcome(buildObservation([], { messagesApprox: null, backlog: null }))[0]).toBe('out local 2');
  });

  test('counts while the fleet cannot be read', () => {
    expect(decided(buildObservation([], { fleet: null }))).toMatchObject({
      capacityDesired: 2,
      numbers: { scheduled: 2 },
    });
  });

  test('does not lower the minimum capacity', () => {
    expect(outcome(buildObservation([]), { schedule: OPEN, capacityMin: 3 })).toEqual([
      'out local 3',
      'minimum',
      3,
    ]);
  });

  test('stays within the spending limit and the maximum that a what-if supposes', () => {
    const priced = { schedule: OPEN, pricePerHour: { local: 1 }, spendingPerHourMax: 1.5 };
    expect(outcome(buildObservation([]), priced)).toEqual(['out local 1', 'schedule', 1]);
    const limited = decide(
      buildObservation([]),
      { ...POLICY_DEFAULTS, schedule: OPEN, capacityMax: 1 },
      ZERO_BELIEVED,
    );
    expect(limited.decision.capacityDesired).toBe(1);
  });

  test('does not ask for more than the maximum capacity', () => {
    expect(() => checkedPolicy({ ...POLICY_DEFAULTS, schedule: OPEN, capacityMax: 1 })).toThrow(
      /a window of the schedule/,
    );
  });
});

describe('the time around a window', () => {
  const before = (minutes: number, seen: readonly SeenInstance[], bootMs: number | null = 4 * MINUTE_MS) =>
    outcome(later(buildObservation(seen, { bootMs }), (60 - minutes) * MINUTE_MS), { schedule: IN_AN_HOUR });

  test('instances start as long before it as a boot takes', () => {
    expect(before(5, [])).toEqual(['hold', 'nothing-to-do', 0]);
    expect(before(4, [])).toEqual(['out local 2', 'schedule', 2]);
    // The time of a boot that was never measured is that of the idle window.
    expect([before(6, [], null)[0], before(5, [], null)[0]]).toEqual(['hold', 'out local 2']);
  });

  test('instances that are up stay for a window that starts within the longest idle window', () => {
    expect(before(16, [LONG_IDLE, LONG_IDLE, LONG_IDLE])[0]).toBe('drain idle vm-0 vm-1 vm-2');
    expect(before(15, [LONG_IDLE])).toEqual(['hold', 'schedule', 1]);
    expect(before(15, [LONG_IDLE, LONG_IDLE, LONG_IDLE])).toEqual(['drain idle vm-0', 'idle-too-long', 2]);
  });

  test('idle instances drain when it ends, and busy ones stay', () => {
    const after = (seen: readonly SeenInstance[], backlog = AN_HOUR.slice(1)) =>
      outcome(later(buildObservation(seen, { backlog }), 180 * MINUTE_MS), { schedule: IN_AN_HOUR });
    expect(after([LONG_IDLE, LONG_IDLE])).toEqual(['drain idle vm-0 vm-1', 'idle-too-long', 0]);
    expect(after([BUSY, LONG_IDLE], [buildJob(60)])[0]).toBe('drain idle vm-1');
  });
});

describe('an override', () => {
  const policy = { schedule: OPEN };
  const set = (mode: 'fixed' | 'min' | 'max' | 'pause', capacity: number | null) =>
    outcome(buildObservation([], { override: buildOverride(mode, capacity) }), policy);
  const replaced = (text: string) => ({
    override: { ...buildOverride('schedule', null), schedule: schedule(text) },
  });

  test('sets a size that the schedule does not change, or limits what it asks for', () => {
    expect(set('fixed', 1)).toEqual(['out local 1', 'override', 1]);
    expect(set('min', 1)).toEqual(['out local 2', 'schedule', 2]);
    expect(set('min', 3)).toEqual(['out local 3', 'override', 3]);
    expect(set('max', 1)).toEqual(['out local 1', 'schedule', 1]);
    expect(set('max', 3)).toEqual(['out local 2', 'schedule', 2]);
    expect(set('pause', null)).toEqual(['hold', 'nothing-to-do', 0]);
  });

  test('replaces the schedule until it ends', () => {
    const more = buildObservation([], replaced('0 6 * * * for 1h in UTC at least 4'));
    expect(outcome(more, policy)).toEqual(['out local 4', 'schedule', 4]);
    expect(decided(more).blockers).toEqual([]);
    expect(outcome(buildObservation([], replaced('none')), policy)).toEqual(['hold', 'nothing-to-do', 0]);
    expect(outcome(later(more, 10 * MINUTE_MS), policy)).toEqual(['out local 2', 'schedule', 2]);
    const tooMany = buildObservation([], replaced('0 6 * * * for 1h in UTC at least 99'));
    expect(outcome(tooMany, policy)[2]).toBe(POLICY_DEFAULTS.capacityMax);
  });

  test('with another schedule is remembered while it cannot be read', () => {
    const seen = buildObservation([], replaced('0 6 * * * for 1h in UTC at least 4'));
    const { memory } = decide(seen, POLICY_DEFAULTS, ZERO_BELIEVED);
    expect(JSON.parse(JSON.stringify(memory))).toEqual(memory);
    expect(outcome(buildObservation([], { override: 'unknown' }), policy, memory)[2]).toBe(4);
  });
});

describe('an explanation', () => {
  const words = (seen: Observation, text: Policy['schedule'] = OPEN): string =>
    explainInWords({
      decision: decided(seen, { schedule: text }),
      instances: 0,
      override: null,
      now: seen.now,
      isLeading: true,
      isWhatIf: false,
    }).join('\n');

  test('says what an open window asks for, until when, and when it ends', () => {
    const seen = words(buildObservation([LONG_IDLE, LONG_IDLE]));
    expect(seen).toContain('the schedule asks for at least 2 until 17:00 (Europe/Berlin)');
    expect(seen).toContain('The schedule asks for more instances than the work.');
    expect(seen).toContain('Next: a window of the schedule ends at 17:00 (Europe/Berlin), in 10 h.');
  });

  test('says when the next window starts, and that its instances start before', () => {
    const tomorrow = schedule('0 5 * * * for 1h in UTC at least 1');
    expect(words(buildObservation([]), tomorrow)).toContain(
      'Next: a window of the schedule starts at 2026-11-24 05:00 (UTC), in 23 h.',
    );
    const early = later(buildObservation([], { bootMs: 4 * MINUTE_MS }), 57 * MINUTE_MS);
    expect(words(early, IN_AN_HOUR)).toContain(
      'the schedule asks for at least 2 from 07:00 (UTC): they start 240 s before, as long as a boot takes',
    );
    const soon = later(buildObservation([LONG_IDLE]), 50 * MINUTE_MS);
    expect(words(soon, IN_AN_HOUR)).toContain('1 stay for a window of the schedule that starts soon');
  });

  test('says that an override replaces the schedule', () => {
    const override = { ...buildOverride('schedule', null), schedule: OPEN };
    const seen = words(buildObservation([], { override }), schedule('none'));
    expect(seen).toContain('an override replaces the schedule, until 2026-11-23T06:10:00.000Z');
    expect(seen).toContain('the schedule asks for at least 2 until 17:00 (Europe/Berlin)');
  });
});
