/** Properties of every decision, for random observations, policies and memories. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { decide } from '../../scaler/decide/decide.ts';
import { DRAIN_REASONS, sentenceOf } from '../../scaler/decide/decision.ts';
import { type Memory, INITIAL_MEMORY } from '../../scaler/decide/memory.ts';
import { BLOCK_REASONS, INSTANCE_PHASES } from '../../scaler/fleet/fleet.ts';
import type { Observation } from '../../scaler/observe/observation.ts';
import { POLICY_DEFAULTS, type Policy } from '../../scaler/policy.ts';
import { scheduleSetting } from '../../scaler/schedule.ts';
import { WORKER_STATES } from '../../shared/contract/heartbeat.ts';
import {
  AT_MS,
  type SeenInstance,
  buildJob,
  buildObservation,
  buildOverride,
} from '../support/build-observation.ts';

const POOLS = [
  { name: 'spot', kind: 'spot' },
  { name: 'on-demand', kind: 'on-demand' },
] as const;
const MONEY = { spot: 1, 'on-demand': 4 };
const ageMs = fc.constantFrom(0, 2_000, 59_000, 61_000, 299_000, 301_000, 700_000, 4_000_000, -5_000);

const seenInstances: fc.Arbitrary<SeenInstance> = fc.record({
  pool: fc.constantFrom('spot', 'on-demand'),
  says: fc.constantFrom('none' as const, ...WORKER_STATES),
  sinceMs: ageMs,
  heardMs: ageMs,
  ageMs,
  phase: fc.constantFrom('running' as const, 'running' as const, ...INSTANCE_PHASES),
  quotes: fc.constantFrom(null, '"a"', '"b"'),
  beat: fc.record({
    recentStored: fc.constantFrom(0, 5, 100),
    recentFailed: fc.constantFrom(0, 0, 10, 80),
    isTooOld: fc.boolean(),
  }),
});
const backlogs = fc.array(
  fc
    .record({
      seconds: fc.nat({ max: 5_000 }),
      isSplitting: fc.boolean(),
      spent: fc.nat({ max: 2 }),
      deadlineAt: fc.option(fc.integer({ min: -60_000, max: 3_600_000 }).map((ms) => new Date(AT_MS + ms))),
    })
    .map(({ seconds, ...rest }) => buildJob(seconds, { ...rest, spendingMax: 2 })),
  { maxLength: 3 },
);
/** Open, about to open, and about to close at the time of the observations, some of them above the maximum capacity. */
const schedules = fc
  .subarray([
    '0 6 * * * for 1h in UTC at least 3',
    '5 6 * * * for 1h in UTC at least 9',
    '0 7 * * * for 1h in Europe/Berlin at least 20',
    '0 5 * * * for 61m in UTC at least 1',
  ])
  .map((windows) => scheduleSetting.parse(windows.join(';') || 'none'));
const replacedSchedules = schedules.map((schedule) => ({ ...buildOverride('schedule', null), schedule }));
const overrides = fc
  .tuple(
    fc.constantFrom('fixed' as const, 'min' as const, 'max' as const, 'pause' as const),
    fc.nat({ max: 12 }),
    fc.integer({ min: -10, max: 10_000 }),
  )
  .map(([mode, capacity, forMs]) => buildOverride(mode, capacity, forMs));

const observations: fc.Arbitrary<Observation> = fc
  .record({
    seen: fc.array(seenInstances, { maxLength: 10 }),
    asked: fc.array(fc.tuple(fc.nat({ max: 9 }), fc.constantFrom('"a"', '"b"')), { maxLength: 6 }),
    extra: fc.array(fc.nat({ max: 3 }), { minLength: 2, maxLength: 2 }),
    isChanging: fc.array(fc.boolean(), { minLength: 2, maxLength: 2 }),
    messagesApprox: fc.option(fc.nat({ max: 300 })),
    backlog: fc.option(backlogs),
    override: fc.oneof(fc.constant(null), fc.constant('unknown' as const), overrides, replacedSchedules),
    bootMs: fc.option(fc.nat({ max: 2_000_000 })),
    unread: fc.subarray(['fleet', 'workers', 'drainRequests'] as const, { maxLength: 1 }),
  })
  .map(({ seen, asked, extra, isChanging, unread, ...rest }) => {
    const pools = POOLS.map((pool, index) => ({
      ...pool,
      capacity: seen.filter((one) => one.pool === pool.name).length + (extra[index] ?? 0),
      isChanging: isChanging[index] === true,
    }));
    const drainRequests = new Map(asked.map(([index, etag]) => [`vm-${index}`, etag] as const));
    const all = buildObservation(seen, { pools, drainRequests, ...rest });
    return Object.assign(all, Object.fromEntries(unread.map((key) => [key, null])));
  });

const policies: fc.Arbitrary<Policy> = fc
  .record({
    capacityMax: fc.nat({ max: 14 }),
    schedule: schedules,
    spendingPerHourMax: fc.option(fc.nat({ max: 30 })),
    onDemandBase: fc.nat({ max: 2 }),
    enginesPerInstance: fc.integer({ min: 1, max: 2 }),
  })
  .map((fields) => ({ ...POLICY_DEFAULTS, pricePerHour: MONEY, ...fields }));

const memories: fc.Arbitrary<Memory> = fc
  .record({
    zeroReadings: fc.nat({ max: 3 }),
    surplus: fc.option(
      fc.record({
        sinceMs: fc.constantFrom(AT_MS - 900_000, AT_MS, AT_MS + 1_000),
        least: fc.nat({ max: 5 }),
      }),
    ),
    drains: fc.dictionary(
      fc.nat({ max: 9 }).map((index) => `vm-${index}`),
      fc.record({
        why: fc.constantFrom(...DRAIN_REASONS, 'asked' as const),
        requestSeenAtMs: fc.constantFrom(null, AT_MS - 700_000, AT_MS),
      }),
      { maxKeys: 5 },
    ),
    boots: fc.record({
      failures: fc.nat({ max: 5 }),
      rounds: fc.nat({ max: 40 }),
      sinceMs: fc.option(fc.constant(AT_MS - 800_000)),
      lastFailureAtMs: fc.option(fc.constantFrom(AT_MS - 700_000, AT_MS)),
    }),
    blocked: fc.dictionary(
      fc.constantFrom('spot', 'on-demand'),
      fc.record({
        reason: fc.constantFrom(...BLOCK_REASONS),
        message: fc.constant('no'),
        refusals: fc.nat({ max: 50 }),
        refusedAtMs: fc.constant(AT_MS - 5_000),
        untilMs: fc.constantFrom(AT_MS - 1, AT_MS + 60_000, AT_MS + 1e9),
        capacityThatFits: fc.option(fc.nat({ max: 12 })),
        capacitySeen: fc.option(fc.nat({ max: 12 })),
      }),
      { maxKeys: 2 },
    ),
    changeRequestedAtMs: fc.dictionary(
      fc.constantFrom('spot', 'on-demand'),
      fc.constantFrom(AT_MS - 5_000, AT_MS - 20_000),
      { maxKeys: 2 },
    ),
  })
  .map((fields) => ({ ...INITIAL_MEMORY, ...fields }));

/** A bound for a hang, not for slowness: other work may share the cores. */
const SLOWLY = { timeout: 60_000 };
const RUNS = { numRuns: 1_000 };

test(
  'scale-out raises each pool at most once, within every bound, and never a pool that is changing',
  SLOWLY,
  () => {
    fc.assert(
      fc.property(observations, policies, memories, (seen, policy, memory) => {
        const { actions } = decide(seen, policy, memory).decision;
        const pools = seen.fleet?.pools ?? [];
        const written = actions.flatMap((action) => (action.kind === 'drain' ? [] : [action.pool]));
        expect(new Set(written).size).toBe(written.length);
        expect(pools.filter(({ name, isChanging }) => isChanging && written.includes(name))).toEqual([]);
        const growths = actions.filter((action) => action.kind === 'scale-out');
        for (const { pool, total } of growths) {
          // The same total requests instances again that were not provided.
          const capacity = pools.find(({ name }) => name === pool)?.capacity ?? Infinity;
          const listed = (seen.fleet?.instances ?? []).filter(
            (one) => one.pool === pool && one.phase !== 'deleting',
          );
          expect(total).toBeGreaterThanOrEqual(capacity);
          expect(total).toBeGreaterThan(listed.length);
        }
        const totals = pools.map(({ name, capacity }) => ({
          name,
          total: growths.find(({ pool }) => pool === name)?.total ?? capacity,
        }));
        // The fleet may have been above the bounds before: then nothing is added.
        const isGrowing = growths.length > 0;
        const sum = totals.reduce((all, { total }) => all + total, 0);
        expect(isGrowing && sum > policy.capacityMax).toBe(false);
        const perHour = totals.reduce(
          (money, { name, total }) => money + total * (policy.pricePerHour[name] ?? 0),
          0,
        );
        expect(isGrowing && perHour > (policy.spendingPerHourMax ?? Infinity) + 1e-6).toBe(false);
      }),
      RUNS,
    );
  },
);

test(
  'no instance with fresh heartbeats is removed unless it has drained and quotes the request in force',
  SLOWLY,
  () => {
    fc.assert(
      fc.property(observations, policies, memories, (seen, policy, memory) => {
        const { actions } = decide(seen, policy, memory).decision;
        const removed = actions.filter((action) => action.kind === 'remove');
        const vmIds = removed.flatMap((action) => action.vmIds);
        for (const vmId of vmIds.filter((one) => one !== null)) {
          const reports = seen.workers?.get(vmId) ?? [];
          const isHeard = reports.some(
            ({ writtenAt }) => seen.now.getTime() - writtenAt.getTime() <= policy.heartbeatStaleMs,
          );
          const hasDrained = reports.every(
            ({ beat }) => beat.state === 'drained' && beat.drainEtag === seen.drainRequests?.get(vmId),
          );
          const isUnready = reports.every(({ beat }) => beat.state === 'booting');
          expect([vmId, isHeard && !hasDrained && !isUnready]).toEqual([vmId, false]);
        }
        const isAllRead = seen.workers !== null && seen.drainRequests !== null && seen.fleet !== null;
        expect(isAllRead || removed.length === 0).toBe(true);
      }),
      RUNS,
    );
  },
);

test('no busy instance drains as idle', SLOWLY, () => {
  fc.assert(
    fc.property(observations, policies, memories, (seen, policy, memory) => {
      const { actions } = decide(seen, policy, memory).decision;
      const idle = actions.flatMap((action) =>
        action.kind === 'drain' && action.why === 'idle' ? action.vmIds : [],
      );
      const states = idle.flatMap((vmId) => (seen.workers?.get(vmId) ?? []).map(({ beat }) => beat.state));
      expect(states.filter((state) => state !== 'idle')).toEqual([]);
    }),
    RUNS,
  );
});

test('more work never asks for fewer instances', SLOWLY, () => {
  fc.assert(
    fc.property(
      observations,
      policies,
      memories,
      backlogs,
      fc.nat({ max: 200 }),
      (seen, policy, memory, more, messages) => {
        fc.pre(seen.backlog !== null && seen.messagesApprox !== null);
        const larger: Observation = {
          ...seen,
          backlog: [...(seen.backlog ?? []), ...more.map((job) => ({ ...job, spent: 0 }))],
          messagesApprox: (seen.messagesApprox ?? 0) + messages,
        };
        expect(decide(larger, policy, memory).decision.capacityDesired).toBeGreaterThanOrEqual(
          decide(seen, policy, memory).decision.capacityDesired,
        );
      },
    ),
    RUNS,
  );
});

test('a little more work asks for at most one more instance', SLOWLY, () => {
  fc.assert(
    fc.property(fc.nat({ max: 20_000 }), fc.option(fc.nat({ max: 900_000 })), (seconds, bootMs) => {
      const desired = (more: number): number => {
        const seen = buildObservation([], { backlog: [buildJob(seconds + more)], bootMs });
        return decide(seen, { ...POLICY_DEFAULTS, capacityMax: 1_000 }, INITIAL_MEMORY).decision
          .capacityDesired;
      };
      expect(desired(30) - desired(0)).toBeLessThanOrEqual(1);
    }),
    RUNS,
  );
});

test(
  'the numbers of a decision are finite and within bounds, whatever the ledger and the queue hold',
  SLOWLY,
  () => {
    const huge = fc.oneof(fc.nat(), fc.constantFrom(0, 4.3e9, 9.4e15, Number.MAX_SAFE_INTEGER));
    const job = fc
      .record({
        framesRemaining: huge,
        batchesRemaining: huge,
        framesInFlight: huge,
        messagesMax: huge,
        megapixelsPerFrame: fc.double({ min: 0, max: 4_295, noNaN: true }),
        isSplitting: fc.boolean(),
        spent: fc.double({ min: 0, max: 1e9, noNaN: true }),
        spendingMax: fc.option(fc.double({ min: 1e-9, max: 1e9, noNaN: true })),
      })
      .map((fields) => buildJob(0, fields));
    const rates = fc
      .double({ min: 0, noNaN: true, noDefaultInfinity: true })
      .map((rate) => new Map([['painter', rate]]));
    fc.assert(
      fc.property(
        observations,
        policies,
        memories,
        fc.array(job, { maxLength: 4 }),
        huge,
        rates,
        (seen, policy, memory, backlog, messagesApprox, ratesByModel) => {
          const { decision } = decide({ ...seen, backlog, messagesApprox, ratesByModel }, policy, memory);
          expect(decision.capacityDesired).toBeLessThanOrEqual(policy.capacityMax);
          for (const action of decision.actions)
            expect(action.kind !== 'scale-out' || action.total <= policy.capacityMax).toBe(true);
          expect(decision.numbers['wanted']).toBeLessThanOrEqual(10_000);
          const values = Object.values(decision.numbers).filter((value) => value !== null);
          expect(values.filter((value) => !Number.isFinite(value) || value < 0)).toEqual([]);
        },
      ),
      RUNS,
    );
  },
);

test('the same inputs give the same decision, are not changed, and every step is a sentence', SLOWLY, () => {
  fc.assert(
    fc.property(observations, policies, memories, (seen, policy, memory) => {
      const before = structuredClone([seen, memory]);
      const decided = decide(seen, policy, memory);
      expect(decide(seen, policy, memory)).toEqual(decided);
      expect([seen, memory]).toEqual(before);
      expect(JSON.parse(JSON.stringify(decided.memory))).toEqual(decided.memory);
      expect(
        decided.decision.steps.map(sentenceOf).filter((text) => /[{}]|undefined|NaN/.test(text)),
      ).toEqual([]);
    }),
    { numRuns: 500 },
  );
});
