/** When the fleet grows, by how much, and in which pool. */
import { describe, expect, test } from 'vitest';

import { recordOutcome } from '../../scaler/decide/blocked-pools.ts';
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
const BUSY: SeenMachine = { says: 'busy' };
/** An hour of one engine's work: twelve instances do it in the target time. */
const AN_HOUR = [buildJob(3600)];

function outcome(seen: Observation, policy: Partial<Policy> = {}, memory = ZERO_BELIEVED): unknown[] {
  const { decision } = decide(seen, { ...POLICY, ...policy }, memory);
  return [inWords(decision), decision.reason, decision.capacityDesired];
}

describe('out', () => {
  const FROM_NOTHING: readonly (readonly [string, Partial<Observation>, Partial<Policy>, number])[] = [
    ['enough to be done in time', { backlog: AN_HOUR }, { capacityMax: 20 }, 12],
    ['within a time that is longer', { backlog: AN_HOUR }, { drainTargetMs: 400_000 }, 9],
    ['never more than there may be', { backlog: AN_HOUR }, {}, 10],
    ['none that would work for less than it takes to boot', { backlog: AN_HOUR, bootMs: 450_000 }, {}, 8],
    ['never more than there are batches', { backlog: [buildJob(3600, { batchesRemaining: 3 })] }, {}, 3],
    [
      'by the rate of the model, where one is known',
      { backlog: AN_HOUR, ratesByModel: new Map([['painter', 8]]) },
      {},
      6,
    ],
    ['one, for a job of ten frames', { backlog: [buildJob(10)] }, {}, 1],
    [
      'one, for a job that was opened and is not split',
      { backlog: [buildJob(0, { isSplitting: true })] },
      {},
      1,
    ],
    ['one, where only the queue knows of work', { messagesApprox: 700 }, {}, 1],
    [
      'what the ledger says, where the queue cannot be read',
      { backlog: AN_HOUR, messagesApprox: null },
      {},
      10,
    ],
    ['by the messages, where the ledger cannot be read', { backlog: null, messagesApprox: 40 }, {}, 4],
    ['two engines an instance', { backlog: AN_HOUR }, { enginesPerInstance: 2 }, 6],
    [
      'of what remains when one job has spent what it may',
      { backlog: [buildJob(3600, { spent: 5, spendingMax: 5 }), buildJob(600)] },
      {},
      2,
    ],
  ];

  test.each(FROM_NOTHING)('from zero in one call: %s', (_, fields, policy, total) => {
    const words = [`out local ${total}`, 'work-waits', total];
    expect(outcome(buildObservation([], fields), policy)).toEqual(words);
  });

  test('those that are booting, and those that were asked for and are not listed yet, are there already', () => {
    const booting: SeenMachine = { says: 'none', ageMs: 30_000 };
    const seen = buildObservation([booting, booting], { backlog: [buildJob(1200)] });
    expect(outcome(seen)).toEqual(['out local 4', 'work-waits', 4]);
    const changing = { backlog: [buildJob(1200)], pools: [{ capacity: 4, isChanging: true }] };
    expect(outcome(buildObservation([booting], changing))).toEqual(['hold', 'enough-at-work', 4]);
  });

  test('those that go are not: work that comes back is given to new ones', () => {
    const drainRequests = new Map([['vm-0', '"1"']]);
    const seen = buildObservation([BUSY, BUSY], { backlog: [buildJob(600)], drainRequests });
    expect(outcome(seen)).toEqual(['out local 3', 'work-waits', 2]);
  });

  test('a job at its cap asks for nobody, and neither do its messages', () => {
    const backlog = [buildJob(3600, { spent: 5, spendingMax: 5, messagesMax: 120 })];
    expect(outcome(buildObservation([], { backlog, messagesApprox: 120 }))).toMatchObject([
      'hold',
      'nothing-to-do',
      0,
    ]);
    expect(outcome(buildObservation([], { backlog, messagesApprox: 121 }))).toMatchObject([
      'out local 1',
      'work-waits',
      1,
    ]);
  });

  test('a job with a cap asks for no more than its money buys', () => {
    const prices = { ...POLICY, capacityMax: 20, pricePerHour: { local: 1 } };
    const wants = (spent: number) =>
      decide(
        buildObservation([], { backlog: [buildJob(36_000, { spent, spendingMax: 1 })] }),
        prices,
        NOTHING_REMEMBERED,
      ).decision.capacityDesired;
    // An hour of one engine costs 1: three quarters of it, and a twelfth, in five minutes each.
    expect([wants(0.25), wants(11 / 12), wants(0.999), wants(1)]).toEqual([9, 1, 1, 0]);
  });

  test('a job at its cap is named, with the command that lets it go on', () => {
    const backlog = ['job-a', 'job-b'].map((jobId) => buildJob(3600, { jobId, spent: 5, spendingMax: 5 }));
    const { blockers } = decide(buildObservation([], { backlog }), POLICY, NOTHING_REMEMBERED).decision;
    expect(blockers).toEqual([
      {
        kind: 'jobs-at-their-cap',
        detail:
          '2 jobs have spent their caps and are held (job-a, job-b): raise a cap with npm run cap -- JOB AMOUNT',
        pool: null,
        until: null,
      },
    ]);
  });

  test('whatever the ledger holds, no absurd number of instances is named', () => {
    const backlog = [buildJob(9.4e15, { batchesRemaining: 9.4e15 })];
    const { numbers, capacityDesired } = decide(
      buildObservation([], { backlog, messagesApprox: 9.4e15 }),
      POLICY,
      NOTHING_REMEMBERED,
    ).decision;
    expect(numbers['wanted']).toBe(10_000);
    expect(capacityDesired).toBe(POLICY.capacityMax);
  });
});

describe('spot first', () => {
  const POOLS = [
    { name: 'spot', kind: 'spot' },
    { name: 'on-demand', kind: 'on-demand' },
  ] as const;
  const MONEY = { pricePerHour: { spot: 1, 'on-demand': 4 } };
  const waits = (fields: Partial<Observation> = {}, machines: readonly SeenMachine[] = []): Observation =>
    buildObservation(machines, { pools: POOLS, backlog: [buildJob(1800)], ...fields });

  test('all of them are spot, but for the base on demand', () => {
    expect(outcome(waits(), MONEY)[0]).toBe('out spot 6');
    expect(outcome(waits(), { ...MONEY, onDemandBase: 2 })[0]).toBe('out spot 4, out on-demand 2');
  });

  test('no more than the money an hour is enough for', () => {
    expect(outcome(waits(), { ...MONEY, spendingPerHourMax: 3.5 })).toEqual(['out spot 3', 'work-waits', 3]);
    const three = Array.from({ length: 3 }, () => ({ ...BUSY, pool: 'spot' }));
    expect(outcome(waits({}, three), { ...MONEY, spendingPerHourMax: 3.5 })).toEqual([
      'hold',
      'spending-reached',
      3,
    ]);
  });

  const refusal = {
    kind: 'refused',
    reason: 'capacity',
    message: 'none',
    capacityThatFits: null,
    retryAfterMs: null,
  } as const;

  test('where spot is blocked, what is missing is on demand; and spot again when its time is over', () => {
    const blocked = recordOutcome(NOTHING_REMEMBERED, 'spot', refusal, AT_MS);
    expect(outcome(waits(), MONEY, blocked)[0]).toBe('out on-demand 6');
    expect(outcome(later(waits(), 61_000), MONEY, blocked)[0]).toBe('out spot 6');
  });

  test('what fits is taken at once, the rest elsewhere', () => {
    const fits = { ...refusal, reason: 'quota', capacityThatFits: 2 } as const;
    const blocked = recordOutcome(NOTHING_REMEMBERED, 'spot', fits, AT_MS);
    expect(outcome(waits(), MONEY, blocked)[0]).toBe('out spot 2, out on-demand 4');
  });

  test('a refusal that comes with the look counts like one that came at once', () => {
    const pools = [{ ...POOLS[0], refusal }, POOLS[1]];
    const { decision, memory } = decide(
      waits({ pools } as Partial<Observation>),
      { ...POLICY, ...MONEY },
      NOTHING_REMEMBERED,
    );
    expect(inWords(decision)).toBe('out on-demand 6');
    expect(decision.blockers).toMatchObject([{ kind: 'pool-blocked', pool: 'spot' }]);
    expect(memory.blocked['spot']).toMatchObject({ reason: 'capacity', attempts: 1 });
  });

  test('where spot machines are taken as fast as they come, what is missing is on demand', () => {
    const gone: readonly SeenMachine[] = [BUSY, BUSY].map((one) => ({
      ...one,
      pool: 'spot',
      heardMs: 30_000,
    }));
    const seen = waits();
    const lastWords = buildObservation(gone).workers;
    expect(outcome({ ...seen, workers: lastWords }, MONEY)[0]).toBe('out on-demand 6');
  });

  test('a pool in the middle of a change is waited for', () => {
    const pools = [{ ...POOLS[0], capacity: 1, isChanging: true }, POOLS[1]];
    const seen = buildObservation([], { pools, backlog: [buildJob(1800)] });
    expect(outcome(seen, MONEY)).toMatchObject(['hold', 'asked-already', 6]);
  });

  test('what a pool was asked for and could not give is asked for again by the same total, and nothing more', () => {
    const two: readonly SeenMachine[] = [BUSY, BUSY].map((one) => ({ ...one, pool: 'spot' }));
    const pools = [{ ...POOLS[0], capacity: 5 }, POOLS[1]];
    const wants = (engineSeconds: number) =>
      buildObservation(two, { pools, backlog: [buildJob(engineSeconds)] });
    expect(outcome(wants(1500), MONEY)[0]).toBe('out spot 5');
    expect(outcome(wants(1800), MONEY)[0]).toBe('out spot 6');
    // The greatest capacity is no bar to what was promised within it.
    expect(outcome(wants(1500), { ...MONEY, capacityMax: 5 })[0]).toBe('out spot 5');
    const { steps } = decide(wants(1500), { ...POLICY, ...MONEY }, ZERO_BELIEVED).decision;
    expect(steps.find(({ name }) => name === 'grow')?.numbers).toEqual({ added: 3, pool: 'spot', total: 5 });
    expect(outcome(wants(3000), { ...MONEY, capacityMax: 5 })[0]).toBe('out spot 5');
  });

  test('while a job may miss its deadline, on demand comes first, and spot gets what is left', () => {
    const due = (inMs: number) => [buildJob(1800, { deadlineAt: new Date(AT_MS + inMs) })];
    // Six instances need 300 s, and 300 s to boot: twice that is 20 minutes.
    expect(outcome(waits({ backlog: due(1_201_000) }), MONEY)[0]).toBe('out spot 6');
    expect(outcome(waits({ backlog: due(1_199_000) }), MONEY)[0]).toBe('out on-demand 6');
    expect(outcome(waits({ backlog: due(-1) }), MONEY)[0]).toBe('out spot 6');
    const blocked = recordOutcome(NOTHING_REMEMBERED, 'on-demand', refusal, AT_MS);
    expect(outcome(waits({ backlog: due(1_199_000) }), MONEY, blocked)[0]).toBe('out spot 6');
    const { decision } = decide(waits({ backlog: due(600_000) }), { ...POLICY, ...MONEY }, ZERO_BELIEVED);
    expect(decision.blockers).toMatchObject([{ kind: 'deadline-at-risk' }]);
  });
});
