import { expect, test } from 'vitest';

import type { BatchMessage } from '../../shared/contract/messages.ts';
import { type Decision, type Delivery, isSuspect, settle } from '../../worker/settle.ts';
import { buildBatch } from '../support/build-batch.ts';
import { buildDelivery, buildFailure } from '../support/build-delivery.ts';

const { batch: BATCH } = buildDelivery();
const CRASH = { engine: 'the engine ended: SIGSEGV' };

/** Delivers a batch again and again, as long as it is released; returns every decision. */
function deliverAll(
  batch: BatchMessage,
  deliver: (batch: BatchMessage, round: number) => Partial<Delivery>,
): Decision[] {
  const decisions: Decision[] = [];
  let next = batch;
  while (decisions.length < 100) {
    const decision = settle(buildDelivery({ batch: next, ...deliver(next, decisions.length + 1) }));
    decisions.push(decision);
    if (decision.kind !== 'release') return decisions;
    next = buildBatch({ ...batch, history: decision.history });
  }
  return decisions;
}

test('a batch whose frames are all stored is complete, whoever stored them and however the run ended', () => {
  const scored = new Set([30, 31, 32, 33]);
  for (const interruption of [null, 'draining', CRASH] as const) {
    const all = buildDelivery({ scored, newlyStored: 0, interruption, unreleased: 99 });
    expect(settle(all)).toEqual({ kind: 'complete', failed: [] });
  }
});

test('with its lease lost a worker leaves the batch, even where all is done', () => {
  const scored = new Set([30, 31, 32, 33]);
  expect(settle(buildDelivery({ scored, leaseLost: true }))).toEqual({ kind: 'leave' });
  expect(settle(buildDelivery({ unreleased: 99, interruption: CRASH, leaseLost: true }))).toEqual({
    kind: 'leave',
  });
});

test('a worker that drains releases the rest for others at once, and that counts against nobody', () => {
  const batch = buildBatch({ ...BATCH, history: { releases: 2, barren: 7 } });
  const decision = settle(
    buildDelivery({
      batch,
      scored: new Set(),
      interruption: 'draining',
      unreleased: 99,
      failed: [buildFailure(30, 'storage')],
    }),
  );
  const failures = [{ frameIndex: 30, kind: 'storage', attempts: 1, worker: 'vm-0' }];
  const history = { releases: 3, barren: 7, failures, carefulFrame: null };
  expect(decision).toEqual({ kind: 'release', delaySeconds: 0, history });
});

test('a delivery that stored something is released at once, and those before it are forgiven', () => {
  const batch = buildBatch({ ...BATCH, history: { barren: 7 } });
  const decision = settle(buildDelivery({ batch, newlyStored: 1, interruption: CRASH }));
  expect(decision).toMatchObject({ kind: 'release', delaySeconds: 0, history: { releases: 1, barren: 0 } });
});

test('deliveries that store nothing wait ever longer, and the eighth in a row is the last', () => {
  const decisions = deliverAll(BATCH, () => ({ scored: new Set([30]), newlyStored: 0, interruption: CRASH }));
  const delays = decisions.flatMap((decision) =>
    decision.kind === 'release' ? [decision.delaySeconds] : [],
  );
  expect(delays).toEqual([2, 4, 8, 16, 32, 60, 60]);
  const failed = [31, 32, 33].map((frameIndex) => ({ frameIndex, kind: 'engine', message: CRASH.engine }));
  expect(decisions.at(-1)).toEqual({ kind: 'poison', reason: CRASH.engine, failed });
});

test('one delivery that stores something starts the count anew', () => {
  const decisions = deliverAll(BATCH, (_, round) => ({
    newlyStored: round === 5 ? 1 : 0,
    interruption: CRASH,
  }));
  expect(decisions).toHaveLength(5 + 8);
  expect(decisions.at(-1)?.kind).toBe('poison');
});

test('what was read of a frame is told where the batch is given up, and the rest is told for the engine', () => {
  const batch = buildBatch({ ...BATCH, history: { barren: 7 } });
  const failed = [buildFailure(31, 'storage'), buildFailure(32, 'undecodable')];
  const decision = settle(buildDelivery({ batch, scored: new Set([30]), newlyStored: 0, failed }));
  const rest = { frameIndex: 33, kind: 'engine', message: 'no storage' };
  expect(decision).toMatchObject({ kind: 'poison', reason: 'no storage' });
  expect(decision).toHaveProperty('failed', expect.arrayContaining([...failed, rest]));
  expect(decision).toHaveProperty('failed.length', 3);
});

test('a batch that 32 workers took and never spoke of is not tried by another', () => {
  expect([1, 32, 33].map(isSuspect)).toEqual([false, false, true]);
  const silent = buildDelivery({ scored: new Set(), newlyStored: 0, interruption: { engine: 'refused' } });
  expect(settle({ ...silent, unreleased: 32 }).kind).toBe('release');
  const decision = settle({ ...silent, unreleased: 33 });
  expect(decision).toMatchObject({ kind: 'poison', reason: 'refused' });
  expect(decision).toHaveProperty('failed.length', 4);
});

test.each([
  ['undecodable', 1],
  ['message', 1],
  ['missing', 2],
  ['inference', 3],
  ['storage', 3],
  ['engine', 3],
] as const)(
  'a frame that fails as %s is given up after %i deliveries, and the others stand',
  (kind, deliveries) => {
    const decisions = deliverAll(BATCH, (_, round) => ({
      newlyStored: round === 1 ? 3 : 0,
      failed: [buildFailure(33, kind)],
    }));
    expect(decisions).toHaveLength(deliveries);
    expect(decisions.at(-1)).toEqual({ kind: 'complete', failed: [buildFailure(33, kind)] });
  },
);

test('a frame that fails each time in another way has not failed twice in one', () => {
  const kinds = ['inference', 'storage', 'inference'] as const;
  const decisions = deliverAll(BATCH, (_, round) => ({
    newlyStored: 1,
    failed: [buildFailure(33, kinds[round - 1] ?? 'missing')],
  }));
  expect(decisions.slice(0, 3).map(({ kind }) => kind)).toEqual(['release', 'release', 'release']);
});

test('the history keeps who failed what, and forgets frames that were stored since', () => {
  const before = [
    { frameIndex: 30, kind: 'inference', attempts: 2, worker: 'vm-1' },
    { frameIndex: 32, kind: 'storage', attempts: 1, worker: 'vm-1' },
    { frameIndex: 33, kind: 'inference', attempts: 1, worker: 'vm-1' },
  ] as const;
  const batch = buildBatch({ ...BATCH, history: { failures: [...before] } });
  const decision = settle(buildDelivery({ batch, scored: new Set([30]), failed: [buildFailure(33)] }));
  const now = { frameIndex: 33, kind: 'inference', attempts: 2, worker: 'vm-0' };
  expect(decision).toHaveProperty('history.failures', [now, before[1]]);
});
