import { expect, test } from 'vitest';

import { type Memory, NOTHING_REMEMBERED, decide } from '../../scaler/decide.ts';
import type { Backlog, Observation } from '../../scaler/observe.ts';
import type { Policy } from '../../scaler/policy.ts';
import { NO_BACKLOG, POLICY, buildObservation } from '../support/build-observation.ts';

/** An hour of one engine's work: twelve instances do it in the target time. */
const AN_HOUR: Backlog = {
  framesRemaining: 9000,
  batchesRemaining: 100,
  engineSecondsRemaining: 3600,
  jobsOpen: 1,
};
/** Nothing to do since long ago. */
const LONG_IDLE: Memory = { zeroReadings: 9, idleSinceMs: 0 };

/** What is decided, and why, with a long idle time behind it. */
function outcome(seen: Observation, policy: Partial<Policy> = {}, memory = LONG_IDLE): unknown[] {
  const { action, reason, capacityDesired } = decide(seen, { ...POLICY, ...policy }, memory).decision;
  return [action, reason, capacityDesired];
}

const HOLD = { kind: 'hold' };
const out = (total: number): unknown[] => [{ kind: 'scale-out', total }, 'work-waits', total];

test('a job that was opened brings the first instance, before anything is split', () => {
  expect(outcome(buildObservation([], { backlog: { ...NO_BACKLOG, jobsOpen: 1 } }))).toEqual(out(1));
});

const FROM_NOTHING: readonly (readonly [string, Partial<Observation>, Partial<Policy>, number])[] = [
  ['enough to be done in time', {}, { drainTargetMs: 400_000 }, 9],
  ['one more for what is a little more', { backlog: { ...AN_HOUR, engineSecondsRemaining: 2401 } }, {}, 9],
  ['never more than there may be', {}, {}, 10],
  ['never more than there are batches', { backlog: { ...AN_HOUR, batchesRemaining: 3 } }, {}, 3],
  ['but one a message', { backlog: { ...AN_HOUR, batchesRemaining: 3 }, messagesApprox: 5 }, {}, 5],
  ['one, where only the queue knows of work', { messagesApprox: 7, backlog: NO_BACKLOG }, {}, 1],
  ['what the ledger says, where the queue cannot be read', { messagesApprox: null }, {}, 10],
  ['one a message, where the ledger cannot be read', { messagesApprox: 4, backlog: null }, {}, 4],
  ['one for a single message', { messagesApprox: 1, backlog: null }, {}, 1],
];

test.each(FROM_NOTHING)('work brings instances in one call: %s', (_, fields, policy, total) => {
  expect(outcome(buildObservation([], { backlog: AN_HOUR, ...fields }), policy)).toEqual(out(total));
});

test('a fleet that is large enough is left alone, and one that may not grow says so', () => {
  const backlog = { ...AN_HOUR, engineSecondsRemaining: 600 };
  expect(outcome(buildObservation(['busy', 'busy'], { backlog }))).toEqual([HOLD, 'enough-at-work', 2]);
  expect(outcome(buildObservation(['busy', 'busy', 'idle'], { backlog }))).toEqual([
    HOLD,
    'enough-at-work',
    2,
  ]);
  expect(outcome(buildObservation(['busy'], { backlog }))).toEqual(out(2));
  const exact = { capacityMax: 2 };
  expect(outcome(buildObservation(['busy', 'busy'], { backlog }), exact)).toEqual([
    HOLD,
    'enough-at-work',
    2,
  ]);
  const capped = { capacityMax: 1 };
  expect(outcome(buildObservation(['busy'], { backlog }), capped)).toEqual([HOLD, 'capacity-reached', 1]);
  expect(outcome(buildObservation([], { backlog }), { capacityMax: 0 })).toEqual([
    HOLD,
    'capacity-reached',
    0,
  ]);
});

const INCOMPLETE: readonly (readonly [string, Partial<Observation>])[] = [
  ['the queue', { messagesApprox: null }],
  ['the ledger', { backlog: null }],
  ['the queue and the ledger', { messagesApprox: null, backlog: null }],
];

test.each(INCOMPLETE)(
  'where %s cannot be read, nothing is removed and no reading counts as zero',
  (_, fields) => {
    const { decision, memory } = decide(buildObservation(['idle'], fields), POLICY, LONG_IDLE);
    expect(decision).toMatchObject({ action: HOLD, reason: 'observation-incomplete', capacityDesired: 1 });
    expect(memory).toEqual(LONG_IDLE);
  },
);

test('where the fleet cannot be read nothing is done, whatever waits', () => {
  const seen = buildObservation([], { instances: null, backlog: AN_HOUR });
  expect(outcome(seen)).toEqual([HOLD, 'observation-incomplete', 0]);
});

test('instances that were idle too long are removed by name', () => {
  const removed = { kind: 'remove', vmIds: ['vm-0', 'vm-1'] };
  expect(outcome(buildObservation(['idle', 'idle']))).toEqual([removed, 'idle-too-long', 0]);
});

test('an instance that is busy is not removed, whatever queue and ledger say', () => {
  const removed = { kind: 'remove', vmIds: ['vm-1'] };
  expect(outcome(buildObservation(['busy', 'idle', 'busy']))).toEqual([removed, 'idle-too-long', 2]);
  expect(outcome(buildObservation(['busy', 'busy']))).toMatchObject([HOLD, expect.any(String), 2]);
});

test('a single reading of nothing is not believed, however long ago the last work was', () => {
  const impatient = { ...POLICY, idleMs: 0 };
  const first = decide(buildObservation(['idle']), impatient, NOTHING_REMEMBERED);
  expect(first.decision).toMatchObject({ action: HOLD, reason: 'zero-not-confirmed', capacityDesired: 1 });
  const second = decide(buildObservation(['idle']), impatient, first.memory);
  expect(second.decision.action.kind).toBe('remove');
});

test('any sign of work starts the idle time anew', () => {
  for (const sign of [{ messagesApprox: 1 }, { backlog: { ...NO_BACKLOG, jobsOpen: 1 } }]) {
    expect(decide(buildObservation(['busy'], sign), POLICY, LONG_IDLE).memory).toEqual(NOTHING_REMEMBERED);
  }
  const everyTenSeconds = [0, 1, 2, 3, 4, 5, 6, 7].map((tick) => 1_000_000 + tick * 10_000);
  let memory = NOTHING_REMEMBERED;
  const reasons = everyTenSeconds.map((atMs) => {
    const step = decide(buildObservation(['idle'], { atMs }), POLICY, memory);
    ({ memory } = step);
    return step.decision.reason;
  });
  const waiting = ['idle-window', 'idle-window', 'idle-window', 'idle-window', 'idle-window'];
  expect(reasons).toEqual(['zero-not-confirmed', ...waiting, 'idle-too-long', 'idle-too-long']);
});

test('nothing to do and nobody there is nothing to do', () => {
  expect(outcome(buildObservation([]))).toEqual([HOLD, 'nothing-to-do', 0]);
});

test('a decision carries the numbers that led to it', () => {
  const seen = buildObservation(['busy'], { messagesApprox: 5, backlog: AN_HOUR, atMs: 7000 });
  const { numbers } = decide(seen, POLICY, { zeroReadings: 1, idleSinceMs: 2000 }).decision;
  const { batchesRemaining: _, ...ledger } = AN_HOUR;
  expect(numbers).toEqual({ messagesApprox: 5, ...ledger, instances: 1, idleMs: 5000 });
});
