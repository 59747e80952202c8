import { expect, test } from 'vitest';

import type { BatchMessage } from '../../shared/contract/messages.ts';
import { type DeliveryOutcome, type Settlement, chooseSettlement } from '../../worker/delivery/settlement.ts';
import { buildBatch } from '../support/build-batch.ts';
import { buildOutcome, buildFailure } from '../support/build-outcome.ts';

const { batch: BATCH } = buildOutcome();
const CRASH = { kind: 'engine', message: 'the engine died: SIGSEGV' } as const;
const NOTHING = { stored: new Set<number>(), newlyStored: 0 };
const ALL = { stored: new Set([30, 31, 32, 33]) };

/** Delivers a batch until it is not released any more. `givenUp` are the frames of earlier deliveries. Returns every settlement. */
function deliverAll(
  batch: BatchMessage,
  deliver: (round: number, givenUp: ReadonlySet<number>) => Partial<DeliveryOutcome>,
): Settlement[] {
  const settlements: Settlement[] = [];
  const givenUp = new Set<number>();
  let next = batch;
  while (settlements.length < 100) {
    const dequeueCount = settlements.length + 1;
    const settlement = chooseSettlement(
      buildOutcome({ batch: next, dequeueCount, givenUp, ...deliver(dequeueCount, givenUp) }),
    );
    settlements.push(settlement);
    if (settlement.kind !== 'release') return settlements;
    for (const { frameIndex } of settlement.givenUp) givenUp.add(frameIndex);
    next = buildBatch({ ...batch, history: settlement.history });
  }
  return settlements;
}

const delaysOf = (settlements: readonly Settlement[]): number[] =>
  settlements.flatMap((one) => (one.kind === 'release' ? [one.delaySeconds] : []));

test('a batch of a cancelled job is dropped without a trace, unless the lease is lost', () => {
  const interruption = { kind: 'cancelled' } as const;
  expect(chooseSettlement(buildOutcome({ ...NOTHING, interruption }))).toEqual({ kind: 'drop' });
  expect(chooseSettlement(buildOutcome({ ...ALL, interruption }))).toEqual({ kind: 'drop' });
  expect(chooseSettlement(buildOutcome({ ...NOTHING, interruption, leaseLost: true }))).toEqual({
    kind: 'leave',
  });
});

test('a batch is complete when every segment is stored, however the run ended', () => {
  for (const interruption of [
    null,
    { kind: 'draining' },
    { kind: 'piece', message: 'short' },
    CRASH,
  ] as const) {
    const stored = { ...ALL, givenUp: new Set([32]), newlyStored: 0 };
    expect(chooseSettlement(buildOutcome({ ...stored, interruption, dequeueCount: 9999 }))).toEqual({
      kind: 'complete',
    });
  }
});

test('a batch is released until the segment of a frame that was given up is stored', () => {
  const outcome = { stored: new Set([30, 31, 33]), givenUp: new Set([32]) };
  expect(chooseSettlement(buildOutcome(outcome))).toMatchObject({
    kind: 'release',
    givenUp: [],
    delaySeconds: 0,
    history: { resolved: 4, barren: 0 },
  });
});

test('a worker leaves a batch whose lease is lost, even if every segment is stored', () => {
  expect(chooseSettlement(buildOutcome({ ...ALL, leaseLost: true }))).toEqual({ kind: 'leave' });
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

test('the delay grows with each delivery without progress, and the eighth in a row gives the batch up', () => {
  const batch = buildBatch({ ...BATCH, history: { resolved: 1 } });
  const stored = { stored: new Set([30]), newlyStored: 0 };
  const settlements = deliverAll(batch, (_, givenUp) =>
    givenUp.size === 0 ? { ...stored, interruption: CRASH } : ALL,
  );
  expect(delaysOf(settlements)).toEqual([2, 4, 8, 16, 32, 60, 60, 0]);
  const rest = { kind: 'engine', message: CRASH.message, attempts: 1 };
  expect(settlements[7]).toMatchObject({
    kind: 'release',
    givenUp: [31, 32, 33].map((frameIndex) => ({ frameIndex, ...rest })),
    history: { resolved: 4, barren: 0, failures: [] },
  });
  expect(settlements.slice(8)).toEqual([{ kind: 'complete' }]);
});

test('a batch that was given up and whose segments cannot be stored is poisoned after eight more deliveries', () => {
  const batch = buildBatch({ ...BATCH, history: { resolved: 1 } });
  const stored = { stored: new Set([30]), newlyStored: 0 };
  const settlements = deliverAll(batch, () => ({ ...stored, interruption: CRASH }));
  expect(delaysOf(settlements).slice(7)).toEqual([0, 2, 4, 8, 16, 32, 60, 60]);
  expect(settlements.at(-1)).toEqual({ kind: 'poison', givenUp: [] });
});

test('frames of a batch that is given up keep their own failure, and the others fail as engine', () => {
  const batch = buildBatch({ ...BATCH, history: { barren: 7, resolved: 1 } });
  const failures = [buildFailure(31, 'inference')];
  const settlement = chooseSettlement(
    buildOutcome({ batch, stored: new Set([30]), newlyStored: 0, failures }),
  );
  expect(settlement).toMatchObject({
    kind: 'release',
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
  expect(delaysOf(settlements).reduce((sum, delay) => sum + delay, 0)).toBeLessThan(30);
});

test('a model is given up if two workers cannot load it, but not if the second worker can', () => {
  const refused = { interruption: { kind: 'model', message: 'no memory', isPermanent: false } } as const;
  const both = deliverAll(BATCH, (round) => ({ ...NOTHING, ...refused, worker: `vm-${round}` }));
  expect(both.map(({ kind }) => kind)).toEqual(['release', 'poison']);
  const second = deliverAll(BATCH, (round) =>
    round === 1 ? { ...NOTHING, ...refused, worker: 'vm-1' } : { ...ALL, worker: 'vm-2' },
  );
  expect(second.map(({ kind }) => kind)).toEqual(['release', 'complete']);
});

test('during a storage outage the batch is released with a delay, and no count rises', () => {
  const away = { kind: 'storage', message: 'it does not answer' } as const;
  const settlements = deliverAll(BATCH, () => ({ ...NOTHING, interruption: away }));
  expect(settlements).toHaveLength(100);
  expect(settlements.at(-1)).toMatchObject({ kind: 'release', history: { barren: 0, failures: [] } });
  const delays = delaysOf(settlements);
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
  ['model', 1],
  ['engine', 2],
  ['inference', 3],
  ['storage', 3],
] as const)(
  'a frame that fails as %s is given up after %i deliveries, and the batch is released so that its segment is stored',
  (kind, deliveries) => {
    const settlements = deliverAll(BATCH, (_, givenUp) =>
      givenUp.has(33) ? ALL : { failures: [buildFailure(33, kind)] },
    );
    expect(settlements).toHaveLength(deliveries + 1);
    const givenUp = settlements.map((one) => ('givenUp' in one ? one.givenUp : []));
    expect(givenUp.slice(0, deliveries - 1).flat()).toEqual([]);
    expect(givenUp[deliveries - 1]).toEqual([{ ...buildFailure(33, kind), attempts: deliveries }]);
    expect(settlements[deliveries - 1]).toMatchObject({
      delaySeconds: 0,
      history: { resolved: 4, barren: 0, failures: [] },
    });
    expect(settlements.at(-1)).toEqual({ kind: 'complete' });
  },
);

test('a frame is given up when an engine died of it twice in one delivery', () => {
  const settlement = chooseSettlement(buildOutcome({ failures: [buildFailure(33, 'engine', 2)] }));
  expect(settlement).toMatchObject({ kind: 'release', givenUp: [{ frameIndex: 33, attempts: 2 }] });
});

test('a frame that was given up during the run is not given up again, and its failures are forgotten', () => {
  const failures = [buildFailure(32, 'engine', 2), buildFailure(33)];
  const outcome = { stored: new Set([30, 31]), givenUp: new Set([32]), failures };
  expect(chooseSettlement(buildOutcome(outcome))).toMatchObject({
    kind: 'release',
    givenUp: [],
    history: { resolved: 3, failures: [{ kind: 'inference', attempts: 1, frames: [[33, 34]] }] },
  });
});

test('attempts start again at one when a frame fails in another way', () => {
  const kinds = ['inference', 'engine', 'inference', 'engine'] as const;
  const settlements = deliverAll(BATCH, (round) => {
    const kind = kinds[round - 1];
    return kind === undefined ? ALL : { failures: [buildFailure(33, kind)] };
  });
  expect(settlements.map((one) => ('givenUp' in one ? one.givenUp : []))).toEqual([[], [], [], [], []]);
});

test('a frame is given up although other frames are open, and that counts as progress', () => {
  const batch = buildBatch({ ...BATCH, history: { barren: 5 } });
  const settlement = chooseSettlement(
    buildOutcome({ batch, ...NOTHING, interruption: CRASH, failures: [buildFailure(31, 'engine', 2)] }),
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
    buildOutcome({ batch, stored: new Set([30]), failures: [buildFailure(33)] }),
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

test('a broken piece is tried by another worker first, and if that one cannot decode it either, it is a mismatch', () => {
  const interruption = { kind: 'piece', message: 'expected 64 frames, decoded 63' } as const;
  const settlements = deliverAll(BATCH, (round) => ({ ...NOTHING, interruption, worker: `vm-${round}` }));
  expect(settlements).toMatchObject([
    { kind: 'release', givenUp: [], delaySeconds: 3, history: { passedOnBy: 'vm-1' } },
    { kind: 'mismatch', message: 'expected 64 frames, decoded 63' },
  ]);
});

test('a piece that another worker can decode is no mismatch', () => {
  const settlements = deliverAll(BATCH, (round) =>
    round === 1 ? { ...NOTHING, interruption: { kind: 'piece', message: 'short' } } : ALL,
  );
  expect(settlements.map(({ kind }) => kind)).toEqual(['release', 'complete']);
});
