import { expect, test } from 'vitest';

import type { BatchMessage } from '../../shared/contract/messages.ts';
import { type DeliveryOutcome, type Settlement, chooseSettlement } from '../../worker/delivery/settlement.ts';
import { buildBatch } from '../support/build-batch.ts';
import { buildOutcome, buildFailure } from '../support/build-outcome.ts';

const { batch: BATCH } = buildOutcome();
const CRASH = { kind: 'engine', message: 'the engine died: SIGSEGV' } as const;
const NOTHING = { scored: new Set<number>(), newlyStored: 0 };

/** Delivers a batch until it is not released any more. Returns every settlement. */
function deliverAll(
  batch: BatchMessage,
  deliver: (batch: BatchMessage, round: number) => Partial<DeliveryOutcome>,
): Settlement[] {
  const settlements: Settlement[] = [];
  let next = batch;
  while (settlements.length < 100) {
    const dequeueCount = settlements.length + 1;
    const settlement = chooseSettlement(
      buildOutcome({ batch: next, dequeueCount, ...deliver(next, dequeueCount) }),
    );
    settlements.push(settlement);
    if (settlement.kind !== 'release') return settlements;
    next = buildBatch({ ...batch, history: settlement.history });
  }
  return settlements;
}

test('a batch is complete when every frame is stored or given up, however the run ended', () => {
  for (const interruption of [null, { kind: 'draining' }, CRASH] as const) {
    const stored = { scored: new Set([30, 31, 33]), failedBefore: new Set([32]), newlyStored: 0 };
    expect(chooseSettlement(buildOutcome({ ...stored, interruption, dequeueCount: 9999 }))).toEqual({
      kind: 'complete',
      givenUp: [],
    });
  }
});

test('a worker leaves a batch whose lease is lost, even if every frame is done', () => {
  const all = { scored: new Set([30, 31, 32, 33]), leaseLost: true };
  expect(chooseSettlement(buildOutcome(all))).toEqual({ kind: 'leave' });
  expect(chooseSettlement(buildOutcome({ ...NOTHING, interruption: CRASH, leaseLost: true }))).toEqual({
    kind: 'leave',
  });
});

test('a draining worker releases the rest without delay, and no count rises', () => {
  const batch = buildBatch({ ...BATCH, history: { releases: 2, deliveries: 3, barren: 2 } });
  const settlement = chooseSettlement(
    buildOutcome({ batch, ...NOTHING, interruption: { kind: 'draining' }, dequeueCount: 4 }),
  );
  const history = { ...batch.history, releases: 3, deliveries: 4, barren: 2 };
  expect(settlement).toEqual({ kind: 'release', givenUp: [], delaySeconds: 0, history });
});

test('a hundred evictions in a row do not count against the batch, even if nothing was stored', () => {
  const settlements = deliverAll(BATCH, () => ({ ...NOTHING, interruption: { kind: 'draining' } }));
  expect(settlements).toHaveLength(100);
  expect(settlements.at(-1)).toMatchObject({ kind: 'release', history: { barren: 0, releases: 100 } });
});

test('a delivery that stored a frame is released without delay and resets the count of barren deliveries', () => {
  const batch = buildBatch({ ...BATCH, history: { barren: 7, resolved: 2 } });
  const settlement = chooseSettlement(buildOutcome({ batch, newlyStored: 1, interruption: CRASH }));
  expect(settlement).toMatchObject({
    kind: 'release',
    delaySeconds: 0,
    history: { releases: 1, barren: 0, resolved: 3 },
  });
});

test('the delay grows with each delivery without progress, and the eighth in a row poisons the batch', () => {
  const batch = buildBatch({ ...BATCH, history: { resolved: 1 } });
  const settlements = deliverAll(batch, () => ({
    scored: new Set([30]),
    newlyStored: 0,
    interruption: CRASH,
  }));
  const delays = settlements.flatMap((one) => (one.kind === 'release' ? [one.delaySeconds] : []));
  expect(delays).toEqual([2, 4, 8, 16, 32, 60, 60]);
  const rest = { kind: 'engine', message: CRASH.message, attempts: 1 };
  expect(settlements.at(-1)).toEqual({
    kind: 'poison',
    givenUp: [31, 32, 33].map((frameIndex) => ({ frameIndex, ...rest })),
  });
});

test('frames of a poisoned batch keep their own failure, and the others fail as engine', () => {
  const batch = buildBatch({ ...BATCH, history: { barren: 7, resolved: 1 } });
  const failures = [buildFailure(31, 'inference')];
  const settlement = chooseSettlement(
    buildOutcome({ batch, scored: new Set([30]), newlyStored: 0, failures }),
  );
  expect(settlement).toMatchObject({
    kind: 'poison',
    givenUp: [
      { frameIndex: 31, kind: 'inference', message: 'no inference' },
      { frameIndex: 32, kind: 'engine', message: '7 consecutive deliveries made no progress' },
      { frameIndex: 33, kind: 'engine' },
    ],
  });
});

test('a hopeless model poisons the batch at once, and one that does not load gets four deliveries within 30 s', () => {
  const interruption = { kind: 'model', message: 'another sha256', isPermanent: true } as const;
  const hopeless = chooseSettlement(buildOutcome({ ...NOTHING, interruption }));
  expect(hopeless).toMatchObject({
    kind: 'poison',
    givenUp: [{ frameIndex: 30, kind: 'model' }, {}, {}, {}],
  });
  const settlements = deliverAll(BATCH, () => ({
    ...NOTHING,
    interruption: { ...interruption, isPermanent: false },
  }));
  expect(settlements).toHaveLength(4);
  expect(settlements.at(-1)).toMatchObject({ kind: 'poison', givenUp: [{ kind: 'model' }, {}, {}, {}] });
  const delays = settlements.map((one) => (one.kind === 'release' ? one.delaySeconds : 0));
  expect(delays.reduce((sum, delay) => sum + delay, 0)).toBeLessThan(30);
});

test('a model is given up if two workers cannot load it, but not if the second worker can', () => {
  const refused = { interruption: { kind: 'model', message: 'no memory', isPermanent: false } } as const;
  const both = deliverAll(BATCH, (_, round) => ({ ...NOTHING, ...refused, worker: `vm-${round}` }));
  expect(both.map(({ kind }) => kind)).toEqual(['release', 'poison']);
  const second = deliverAll(BATCH, (_, round) =>
    round === 1
      ? { ...NOTHING, ...refused, worker: 'vm-1' }
      : { scored: new Set([30, 31, 32, 33]), newlyStored: 4, worker: 'vm-2' },
  );
  expect(second.map(({ kind }) => kind)).toEqual(['release', 'complete']);
});

test('during a storage outage the batch is released with a delay, and no count rises', () => {
  const failures = [30, 31, 32, 33].map((frameIndex) => buildFailure(frameIndex, 'storage'));
  const away = { kind: 'storage', message: 'it does not answer' } as const;
  const settlements = deliverAll(BATCH, (_, round) =>
    round % 2 === 0 ? { ...NOTHING, failures } : { ...NOTHING, interruption: away },
  );
  expect(settlements).toHaveLength(100);
  expect(settlements.at(-1)).toMatchObject({ kind: 'release', history: { barren: 0, failures: [] } });
  const delays = settlements.map((one) => (one.kind === 'release' ? one.delaySeconds : 0));
  expect(Math.min(...delays)).toBeGreaterThanOrEqual(10);
  expect(Math.max(...delays)).toBeLessThan(60);
  expect(new Set(delays).size).toBeGreaterThan(3);
});

test('a batch is poisoned after more than 1024 deliveries that did not end in a release', () => {
  const releases = buildBatch({ ...BATCH, history: { releases: 3000 } });
  const one = { newlyStored: 1, interruption: CRASH };
  expect(chooseSettlement(buildOutcome({ ...one, dequeueCount: 1024 })).kind).toBe('release');
  expect(chooseSettlement(buildOutcome({ ...one, dequeueCount: 1025 })).kind).toBe('poison');
  expect(chooseSettlement(buildOutcome({ ...one, batch: releases, dequeueCount: 4024 })).kind).toBe(
    'release',
  );
});

test('a batch is poisoned after one day of releases because of storage', () => {
  const away = { ...NOTHING, interruption: { kind: 'storage', message: 'gone' } } as const;
  const batch = buildBatch({ ...BATCH, history: { releases: 4_319, deliveries: 4_319 } });
  expect(chooseSettlement(buildOutcome({ ...away, batch, dequeueCount: 4_320 })).kind).toBe('release');
  expect(chooseSettlement(buildOutcome({ ...away, batch, dequeueCount: 4_321 })).kind).toBe('poison');
});

test.each([
  ['undecodable', 1],
  ['model', 1],
  ['missing', 2],
  ['engine', 2],
  ['inference', 3],
  ['storage', 3],
] as const)(
  'a frame that fails as %s is given up after %i deliveries, and the other frames are not affected',
  (kind, deliveries) => {
    const settlements = deliverAll(BATCH, () => ({ newlyStored: 3, failures: [buildFailure(33, kind)] }));
    expect(settlements).toHaveLength(deliveries);
    const givenUp = { frameIndex: 33, kind, message: `no ${kind}`, attempts: deliveries };
    expect(settlements.at(-1)).toEqual({ kind: 'complete', givenUp: [givenUp] });
  },
);

test('a frame is given up when an engine died of it twice in one delivery', () => {
  const settlement = chooseSettlement(buildOutcome({ failures: [buildFailure(33, 'engine', 2)] }));
  expect(settlement).toMatchObject({ kind: 'complete', givenUp: [{ frameIndex: 33, attempts: 2 }] });
});

test('attempts start again at one when a frame fails in another way', () => {
  const kinds = ['inference', 'storage', 'inference'] as const;
  const settlements = deliverAll(BATCH, (_, round) => ({
    failures: [buildFailure(33, kinds[round - 1] ?? 'missing')],
  }));
  expect(settlements.slice(0, 3).map(({ kind }) => kind)).toEqual(['release', 'release', 'release']);
});

test('a frame is given up although other frames are open, and that counts as progress', () => {
  const batch = buildBatch({ ...BATCH, history: { barren: 5 } });
  const settlement = chooseSettlement(
    buildOutcome({ batch, ...NOTHING, interruption: CRASH, failures: [buildFailure(31, 'undecodable')] }),
  );
  expect(settlement).toMatchObject({
    kind: 'release',
    givenUp: [{ frameIndex: 31 }],
    history: { barren: 0, resolved: 1, failures: [] },
  });
});

test('the history keeps failures with their worker, and drops frames that were stored since', () => {
  const before = { kind: 'inference', worker: 'vm-1' } as const;
  const known = [
    { ...before, attempts: 2, frames: [[30, 31] as const] },
    { ...before, kind: 'storage' as const, attempts: 1, frames: [[32, 33] as const] },
    { ...before, attempts: 1, frames: [[33, 34] as const] },
  ];
  const batch = buildBatch({ ...BATCH, history: { failures: known } });
  const settlement = chooseSettlement(
    buildOutcome({ batch, scored: new Set([30]), failures: [buildFailure(33)] }),
  );
  expect(settlement).toHaveProperty('history.failures', [
    known[1],
    { kind: 'inference', attempts: 2, worker: 'vm-0', frames: [[33, 34]] },
  ]);
});

test('a worker that passes a batch on records its name and releases the batch with a short delay', () => {
  const settlement = chooseSettlement(buildOutcome({ ...NOTHING, interruption: { kind: 'passing-on' } }));
  expect(settlement).toMatchObject({
    kind: 'release',
    delaySeconds: 3,
    history: { passedOnBy: 'vm-0', barren: 0 },
  });
});
