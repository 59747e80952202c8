import { expect, test } from 'vitest';

import type { BatchMessage } from '../../shared/contract/messages.ts';
import { type Decision, type Delivery, settle } from '../../worker/delivery/settle.ts';
import { buildBatch } from '../support/build-batch.ts';
import { buildDelivery, buildTrouble } from '../support/build-delivery.ts';

const { batch: BATCH } = buildDelivery();
const CRASH = { kind: 'engine', message: 'the engine died: SIGSEGV' } as const;
const NOTHING = { scored: new Set<number>(), newlyStored: 0 };

/** Delivers a batch again and again, as long as it is released; returns every decision. */
function deliverAll(
  batch: BatchMessage,
  deliver: (batch: BatchMessage, round: number) => Partial<Delivery>,
): Decision[] {
  const decisions: Decision[] = [];
  let next = batch;
  while (decisions.length < 100) {
    const dequeueCount = decisions.length + 1;
    const decision = settle(buildDelivery({ batch: next, dequeueCount, ...deliver(next, dequeueCount) }));
    decisions.push(decision);
    if (decision.kind !== 'release') return decisions;
    next = buildBatch({ ...batch, history: decision.history });
  }
  return decisions;
}

test('a batch whose frames are all stored or given up is complete, however the run ended', () => {
  for (const interruption of [null, { kind: 'draining' }, CRASH] as const) {
    const stored = { scored: new Set([30, 31, 33]), failedBefore: new Set([32]), newlyStored: 0 };
    expect(settle(buildDelivery({ ...stored, interruption, dequeueCount: 9999 }))).toEqual({
      kind: 'complete',
      givenUp: [],
    });
  }
});

test('with its lease lost a worker leaves the batch, even where all is done', () => {
  const all = { scored: new Set([30, 31, 32, 33]), leaseLost: true };
  expect(settle(buildDelivery(all))).toEqual({ kind: 'leave' });
  expect(settle(buildDelivery({ ...NOTHING, interruption: CRASH, leaseLost: true }))).toEqual({
    kind: 'leave',
  });
});

test('a worker that drains releases the rest for others at once, and that counts against nobody', () => {
  const batch = buildBatch({ ...BATCH, history: { releases: 2, deliveries: 3, barren: 2 } });
  const decision = settle(
    buildDelivery({ batch, ...NOTHING, interruption: { kind: 'draining' }, dequeueCount: 4 }),
  );
  const history = { ...batch.history, releases: 3, deliveries: 4, barren: 2 };
  expect(decision).toEqual({ kind: 'release', givenUp: [], delaySeconds: 0, history });
});

test('ten evictions in a row, even with nothing stored, leave the batch as it was', () => {
  const decisions = deliverAll(BATCH, () => ({ ...NOTHING, interruption: { kind: 'draining' } }));
  expect(decisions).toHaveLength(100);
  expect(decisions.at(-1)).toMatchObject({ kind: 'release', history: { barren: 0, releases: 100 } });
});

test('a delivery that stored something is released at once, and those before it are forgiven', () => {
  const batch = buildBatch({ ...BATCH, history: { barren: 7, resolved: 2 } });
  const decision = settle(buildDelivery({ batch, newlyStored: 1, interruption: CRASH }));
  expect(decision).toMatchObject({
    kind: 'release',
    delaySeconds: 0,
    history: { releases: 1, barren: 0, resolved: 3 },
  });
});

test('deliveries that get nowhere wait ever longer, and the eighth in a row is the last', () => {
  const batch = buildBatch({ ...BATCH, history: { resolved: 1 } });
  const decisions = deliverAll(batch, () => ({ scored: new Set([30]), newlyStored: 0, interruption: CRASH }));
  const delays = decisions.flatMap((one) => (one.kind === 'release' ? [one.delaySeconds] : []));
  expect(delays).toEqual([2, 4, 8, 16, 32, 60, 60]);
  const rest = { kind: 'engine', message: CRASH.message, attempts: 1 };
  expect(decisions.at(-1)).toEqual({
    kind: 'poison',
    givenUp: [31, 32, 33].map((frameIndex) => ({ frameIndex, ...rest })),
  });
});

test('what was read of a frame is told where the batch is given up, and the rest is told for the engine', () => {
  const batch = buildBatch({ ...BATCH, history: { barren: 7, resolved: 1 } });
  const troubles = [buildTrouble(31, 'inference')];
  const decision = settle(buildDelivery({ batch, scored: new Set([30]), newlyStored: 0, troubles }));
  expect(decision).toMatchObject({
    kind: 'poison',
    givenUp: [
      { frameIndex: 31, kind: 'inference', message: 'no inference' },
      { frameIndex: 32, kind: 'engine', message: '7 deliveries in a row got nowhere' },
      { frameIndex: 33, kind: 'engine' },
    ],
  });
});

test('a model that is not what the job pinned is hopeless at once; one that does not load is tried again for seconds', () => {
  const interruption = { kind: 'model', message: 'another sha256', isHopeless: true } as const;
  const hopeless = settle(buildDelivery({ ...NOTHING, interruption }));
  expect(hopeless).toMatchObject({
    kind: 'poison',
    givenUp: [{ frameIndex: 30, kind: 'model' }, {}, {}, {}],
  });
  const decisions = deliverAll(BATCH, () => ({
    ...NOTHING,
    interruption: { ...interruption, isHopeless: false },
  }));
  expect(decisions).toHaveLength(4);
  expect(decisions.at(-1)).toMatchObject({ kind: 'poison', givenUp: [{ kind: 'model' }, {}, {}, {}] });
  const delays = decisions.map((one) => (one.kind === 'release' ? one.delaySeconds : 0));
  expect(delays.reduce((sum, delay) => sum + delay, 0)).toBeLessThan(30);
});

test('a model that two workers cannot load is given up, and one that a second worker loads is not', () => {
  const refused = { interruption: { kind: 'model', message: 'no memory', isHopeless: false } } as const;
  const both = deliverAll(BATCH, (_, round) => ({ ...NOTHING, ...refused, worker: `vm-${round}` }));
  expect(both.map(({ kind }) => kind)).toEqual(['release', 'poison']);
  const second = deliverAll(BATCH, (_, round) =>
    round === 1
      ? { ...NOTHING, ...refused, worker: 'vm-1' }
      : { scored: new Set([30, 31, 32, 33]), newlyStored: 4, worker: 'vm-2' },
  );
  expect(second.map(({ kind }) => kind)).toEqual(['release', 'complete']);
});

test('while storage gives and takes nothing, a batch waits for it and is charged with nothing', () => {
  const troubles = [30, 31, 32, 33].map((frameIndex) => buildTrouble(frameIndex, 'storage'));
  const away = { kind: 'storage', message: 'it does not answer' } as const;
  const decisions = deliverAll(BATCH, (_, round) =>
    round % 2 === 0 ? { ...NOTHING, troubles } : { ...NOTHING, interruption: away },
  );
  expect(decisions).toHaveLength(100);
  expect(decisions.at(-1)).toMatchObject({ kind: 'release', history: { barren: 0, failures: [] } });
  const delays = decisions.map((one) => (one.kind === 'release' ? one.delaySeconds : 0));
  expect(Math.min(...delays)).toBeGreaterThanOrEqual(10);
  expect(Math.max(...delays)).toBeLessThan(60);
  expect(new Set(delays).size).toBeGreaterThan(3);
});

test('only a batch that more deliveries took than it has frames to store is given up for their silence', () => {
  const releases = buildBatch({ ...BATCH, history: { releases: 3000 } });
  const one = { newlyStored: 1, interruption: CRASH };
  expect(settle(buildDelivery({ ...one, dequeueCount: 1024 })).kind).toBe('release');
  expect(settle(buildDelivery({ ...one, dequeueCount: 1025 })).kind).toBe('poison');
  expect(settle(buildDelivery({ ...one, batch: releases, dequeueCount: 4024 })).kind).toBe('release');
});

test('a frame that storage never gives, all day long, is given up in the end', () => {
  const away = { ...NOTHING, interruption: { kind: 'storage', message: 'gone' } } as const;
  const batch = buildBatch({ ...BATCH, history: { releases: 4_319, deliveries: 4_319 } });
  expect(settle(buildDelivery({ ...away, batch, dequeueCount: 4_320 })).kind).toBe('release');
  expect(settle(buildDelivery({ ...away, batch, dequeueCount: 4_321 })).kind).toBe('poison');
});

test.each([
  ['undecodable', 1],
  ['model', 1],
  ['missing', 2],
  ['engine', 2],
  ['inference', 3],
  ['storage', 3],
] as const)(
  'a frame that fails as %s is given up after %i deliveries, and the others stand',
  (kind, deliveries) => {
    const decisions = deliverAll(BATCH, () => ({ newlyStored: 3, troubles: [buildTrouble(33, kind)] }));
    expect(decisions).toHaveLength(deliveries);
    const givenUp = { frameIndex: 33, kind, message: `no ${kind}`, attempts: deliveries };
    expect(decisions.at(-1)).toEqual({ kind: 'complete', givenUp: [givenUp] });
  },
);

test('an engine that died twice of a frame in one delivery is proof enough', () => {
  const decision = settle(buildDelivery({ troubles: [buildTrouble(33, 'engine', 2)] }));
  expect(decision).toMatchObject({ kind: 'complete', givenUp: [{ frameIndex: 33, attempts: 2 }] });
});

test('a frame that fails each time in another way has not failed twice in one', () => {
  const kinds = ['inference', 'storage', 'inference'] as const;
  const decisions = deliverAll(BATCH, (_, round) => ({
    troubles: [buildTrouble(33, kinds[round - 1] ?? 'missing')],
  }));
  expect(decisions.slice(0, 3).map(({ kind }) => kind)).toEqual(['release', 'release', 'release']);
});

test('a frame is given up in mid-batch, without waiting for the others, and that is getting somewhere', () => {
  const batch = buildBatch({ ...BATCH, history: { barren: 5 } });
  const decision = settle(
    buildDelivery({ batch, ...NOTHING, interruption: CRASH, troubles: [buildTrouble(31, 'undecodable')] }),
  );
  expect(decision).toMatchObject({
    kind: 'release',
    givenUp: [{ frameIndex: 31 }],
    history: { barren: 0, resolved: 1, failures: [] },
  });
});

test('the history keeps who failed what, and forgets frames that were stored since', () => {
  const before = { kind: 'inference', worker: 'vm-1' } as const;
  const failures = [
    { ...before, attempts: 2, frames: [[30, 31] as const] },
    { ...before, kind: 'storage' as const, attempts: 1, frames: [[32, 33] as const] },
    { ...before, attempts: 1, frames: [[33, 34] as const] },
  ];
  const batch = buildBatch({ ...BATCH, history: { failures } });
  const decision = settle(buildDelivery({ batch, scored: new Set([30]), troubles: [buildTrouble(33)] }));
  expect(decision).toHaveProperty('history.failures', [
    failures[1],
    { kind: 'inference', attempts: 2, worker: 'vm-0', frames: [[33, 34]] },
  ]);
});

test('whoever passes a batch on says so, and gives others a moment', () => {
  const decision = settle(buildDelivery({ ...NOTHING, interruption: { kind: 'passing-on' } }));
  expect(decision).toMatchObject({
    kind: 'release',
    delaySeconds: 3,
    history: { passedOnBy: 'vm-0', barren: 0 },
  });
});
