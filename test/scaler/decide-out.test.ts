/** Scaling out: when the fleet grows, by how much, and in which pool. */
import { describe, expect, test } from 'vitest';

import { recordOutcome } from '../../scaler/decide/blocked-pools.ts';
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
const BUSY: SeenInstance = { says: 'busy' };
/** An hour of work for one engine: twelve instances finish it in the target time. */
const AN_HOUR = [buildJob(3600)];

function outcome(seen: Observation, policy: Partial<Policy> = {}, memory = ZERO_BELIEVED): unknown[] {
  const { decision } = decide(seen, { ...POLICY_DEFAULTS, ...policy }, memory);
  return [inWords(decision), decision.reason, decision.capacityDesired];
}

describe('scaling out', () => {
  const FROM_NOTHING: readonly (readonly [string, Partial<Observation>, Partial<Policy>, number])[] = [
    ['enough to finish in time', { backlog: AN_HOUR }, { capacityMax: 20 }, 12],
    ['fewer for a longer drain target', { backlog: AN_HOUR }, { drainTargetMs: 400_000 }, 9],
    ['no more than the maximum capacity', { backlog: AN_HOUR }, {}, 10],
    [
      'none that would work for less time than it takes to boot',
      { backlog: AN_HOUR, bootMs: 450_000 },
      {},
      8,
    ],
    ['no more than there are batches', { backlog: [buildJob(3600, { batchesRemaining: 3 })] }, {}, 3],
    [
      'by the measured rate of the model',
      { backlog: AN_HOUR, ratesByModel: new Map([['painter', 8]]) },
      {},
      6,
    ],
    ['one, for a job of ten frames', { backlog: [buildJob(10)] }, {}, 1],
    [
      'one, for a job that is open but not split yet',
      { backlog: [buildJob(0, { isSplitting: true })] },
      {},
      1,
    ],
    ['one, if only the queue reports work', { messagesApprox: 700 }, {}, 1],
    ['by the ledger, if the queue cannot be read', { backlog: AN_HOUR, messagesApprox: null }, {}, 10],
    ['by the messages, if the ledger cannot be read', { backlog: null, messagesApprox: 40 }, {}, 4],
    ['half as many with two engines per instance', { backlog: AN_HOUR }, { enginesPerInstance: 2 }, 6],
    [
      'none for a job that has spent its cap',
      { backlog: [buildJob(3600, { spent: 5, spendingMax: 5 }), buildJob(600)] },
      {},
      2,
    ],
  ];

  test.each(FROM_NOTHING)('the fleet grows from zero in one call: %s', (_, fields, policy, total) => {
    const words = [`out local ${total}`, 'work-waits', total];
    expect(outcome(buildObservation([], fields), policy)).toEqual(words);
  });

  test('instances that boot, or are not listed yet, count as capacity', () => {
    const booting: SeenInstance = { says: 'none', ageMs: 30_000 };
    const seen = buildObservation([booting, booting], { backlog: [buildJob(1200)] });
    expect(outcome(seen)).toEqual(['out local 4', 'work-waits', 4]);
    const changing = { backlog: [buildJob(1200)], pools: [{ capacity: 4, isChanging: true }] };
    expect(outcome(buildObservation([booting], changing))).toEqual(['hold', 'enough-at-work', 4]);
  });

  test('draining instances do not count: new work gets new instances', () => {
    const drainRequests = new Map([['vm-0', '"1"']]);
    const seen = buildObservation([BUSY, BUSY], { backlog: [buildJob(600)], drainRequests });
    expect(outcome(seen)).toEqual(['out local 3', 'work-waits', 2]);
  });

  test('a job at its cap asks for no instance, and neither do its messages', () => {
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

  test('a job with a cap asks for no more instances than its money buys', () => {
    const prices = { ...POLICY_DEFAULTS, capacityMax: 20, pricePerHour: { local: 1 } };
    const wants = (spent: number) =>
      decide(
        buildObservation([], { backlog: [buildJob(36_000, { spent, spendingMax: 1 })] }),
        prices,
        INITIAL_MEMORY,
      ).decision.capacityDesired;
    // One engine costs 1 an hour. The money buys three quarters of an hour, then a twelfth, each within five minutes.
    expect([wants(0.25), wants(11 / 12), wants(0.999), wants(1)]).toEqual([9, 1, 1, 0]);
  });

  test('a blocker names the jobs at their cap and the command that raises it', () => {
    const backlog = ['job-a', 'job-b'].map((jobId) => buildJob(3600, { jobId, spent: 5, spendingMax: 5 }));
    const { blockers } = decide(buildObservation([], { backlog }), POLICY_DEFAULTS, INITIAL_MEMORY).decision;
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

  test('an absurd ledger does not lead to an absurd number of instances', () => {
    const backlog = [buildJob(9.4e15, { batchesRemaining: 9.4e15 })];
    const { numbers, capacityDesired } = decide(
      buildObservation([], { backlog, messagesApprox: 9.4e15 }),
      POLICY_DEFAULTS,
      INITIAL_MEMORY,
    ).decision;
    expect(numbers['wanted']).toBe(10_000);
    expect(capacityDesired).toBe(POLICY_DEFAULTS.capacityMax);
  });
});

describe('the choice of pools', () => {
  const POOLS = [
    { name: 'spot', kind: 'spot' },
    { name: 'on-demand', kind: 'on-demand' },
  ] as const;
  const MONEY = { pricePerHour: { spot: 1, 'on-demand': 4 } };
  const waits = (fields: Partial<Observation> = {}, instances: readonly SeenInstance[] = []): Observation =>
    buildObservation(instances, { pools: POOLS, backlog: [buildJob(1800)], ...fields });

  test('all instances are spot, except for the on-demand base', () => {
    expect(outcome(waits(), MONEY)[0]).toBe('out spot 6');
    expect(outcome(waits(), { ...MONEY, onDemandBase: 2 })[0]).toBe('out spot 4, out on-demand 2');
  });

  test('the money per hour limits the fleet', () => {
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

  test('on-demand replaces spot while spot is blocked, and no longer', () => {
    const blocked = recordOutcome(INITIAL_MEMORY, 'spot', refusal, AT_MS);
    expect(outcome(waits(), MONEY, blocked)[0]).toBe('out on-demand 6');
    expect(outcome(later(waits(), 61_000), MONEY, blocked)[0]).toBe('out spot 6');
  });

  test('a pool takes what fits, and the next one takes the rest', () => {
    const fits = { ...refusal, reason: 'quota', capacityThatFits: 2 } as const;
    const blocked = recordOutcome(INITIAL_MEMORY, 'spot', fits, AT_MS);
    expect(outcome(waits(), MONEY, blocked)[0]).toBe('out spot 2, out on-demand 4');
  });

  test('a refusal that arrives with a later reading counts like an immediate one', () => {
    const pools = [{ ...POOLS[0], refusal }, POOLS[1]];
    const { decision, memory } = decide(
      waits({ pools } as Partial<Observation>),
      { ...POLICY_DEFAULTS, ...MONEY },
      INITIAL_MEMORY,
    );
    expect(inWords(decision)).toBe('out on-demand 6');
    expect(decision.blockers).toMatchObject([{ kind: 'pool-blocked', pool: 'spot' }]);
    expect(memory.blocked['spot']).toMatchObject({ reason: 'capacity', refusals: 1 });
  });

  test('on-demand replaces spot while spot instances are evicted as fast as they start', () => {
    const gone: readonly SeenInstance[] = [BUSY, BUSY].map((one) => ({
      ...one,
      pool: 'spot',
      heardMs: 30_000,
    }));
    const seen = waits();
    const lastWords = buildObservation(gone).workers;
    expect(outcome({ ...seen, workers: lastWords }, MONEY)[0]).toBe('out on-demand 6');
  });

  test('the scaler waits for a pool that is changing', () => {
    const pools = [{ ...POOLS[0], capacity: 1, isChanging: true }, POOLS[1]];
    const seen = buildObservation([], { pools, backlog: [buildJob(1800)] });
    expect(outcome(seen, MONEY)).toMatchObject(['hold', 'asked-already', 6]);
  });

  test('instances that a pool could not provide are requested again with the same total', () => {
    const two: readonly SeenInstance[] = [BUSY, BUSY].map((one) => ({ ...one, pool: 'spot' }));
    const pools = [{ ...POOLS[0], capacity: 5 }, POOLS[1]];
    const wants = (engineSeconds: number) =>
      buildObservation(two, { pools, backlog: [buildJob(engineSeconds)] });
    expect(outcome(wants(1500), MONEY)[0]).toBe('out spot 5');
    expect(outcome(wants(1800), MONEY)[0]).toBe('out spot 6');
    // The maximum capacity does not prevent another request for instances that were within it.
    expect(outcome(wants(1500), { ...MONEY, capacityMax: 5 })[0]).toBe('out spot 5');
    const { steps } = decide(wants(1500), { ...POLICY_DEFAULTS, ...MONEY }, ZERO_BELIEVED).decision;
    expect(steps.find(({ name }) => name === 'grow')?.numbers).toEqual({ added: 3, pool: 'spot', total: 5 });
    expect(outcome(wants(3000), { ...MONEY, capacityMax: 5 })[0]).toBe('out spot 5');
  });

  test('on-demand pools grow first while a job may miss its deadline', () => {
    const due = (inMs: number) => [buildJob(1800, { deadlineAt: new Date(AT_MS + inMs) })];
    // Six instances need 300 s, and 300 s to boot: twice that is 20 minutes.
    expect(outcome(waits({ backlog: due(1_201_000) }), MONEY)[0]).toBe('out spot 6');
    expect(outcome(waits({ backlog: due(1_199_000) }), MONEY)[0]).toBe('out on-demand 6');
    expect(outcome(waits({ backlog: due(-1) }), MONEY)[0]).toBe('out spot 6');
    const blocked = recordOutcome(INITIAL_MEMORY, 'on-demand', refusal, AT_MS);
    expect(outcome(waits({ backlog: due(1_199_000) }), MONEY, blocked)[0]).toBe('out spot 6');
    const { decision } = decide(
      waits({ backlog: due(600_000) }),
      { ...POLICY_DEFAULTS, ...MONEY },
      ZERO_BELIEVED,
    );
    expect(decision.blockers).toMatchObject([{ kind: 'deadline-at-risk' }]);
  });
});
