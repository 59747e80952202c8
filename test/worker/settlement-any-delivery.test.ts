/** Properties of the settlement of every possible delivery. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { batchMessage, decodeMessage, encodeMessage, failureKind } from '../../shared/contract/messages.ts';
import { toHistoryFailures } from '../../worker/delivery/history.ts';
import {
  type DeliveryOutcome,
  type RunInterruption,
  chooseSettlement,
  framesOf,
} from '../../worker/delivery/settlement.ts';
import { buildBatch } from '../support/build-batch.ts';
import { buildOutcome, buildFailure } from '../support/build-outcome.ts';

const interruptions: readonly (RunInterruption | null)[] = [
  null,
  { kind: 'draining' },
  { kind: 'passing-on' },
  { kind: 'storage', message: 'unavailable' },
  { kind: 'engine', message: 'the engine died: SIGSEGV' },
  { kind: 'model', message: 'does not load', isPermanent: false },
  { kind: 'model', message: 'another sha256', isPermanent: true },
];

/** Any delivery of up to forty frames. Each frame is stored, was given up before, has failed, or was not reached. */
const deliveries: fc.Arbitrary<DeliveryOutcome> = fc
  .record({
    fates: fc.array(fc.constantFrom('scored', 'failed before', 'open', ...failureKind.options), {
      minLength: 1,
      maxLength: 40,
    }),
    before: fc.array(
      fc.tuple(fc.nat({ max: 39 }), fc.constantFrom(...failureKind.options), fc.nat({ max: 4 })),
    ),
    barren: fc.nat({ max: 9 }),
    dequeueCount: fc.integer({ min: 1, max: 2000 }),
    newlyStored: fc.boolean(),
    attempts: fc.integer({ min: 1, max: 3 }),
    interruption: fc.constantFrom(...interruptions),
  })
  .map(({ fates, before, barren, newlyStored, attempts, ...rest }) => {
    const indices = (wanted: string) => [...fates.keys()].filter((index) => fates[index] === wanted);
    const scored = new Set(indices('scored'));
    const failures = failureKind.options.flatMap((kind) =>
      indices(kind).map((index) => buildFailure(index, kind, attempts)),
    );
    const earlier = new Map(
      before.map(
        ([frameIndex, kind, count]) => [frameIndex, { kind, attempts: count, worker: 'vm-1' }] as const,
      ),
    );
    const own = new Map([...earlier].filter(([frameIndex]) => frameIndex < fates.length));
    const history = { barren, failures: toHistoryFailures(own, new Set()) };
    const batch = buildBatch({ frameStart: 0, frameEnd: fates.length, history });
    const failedBefore = new Set(indices('failed before'));
    const stored = newlyStored ? scored.size : 0;
    return buildOutcome({ batch, scored, failedBefore, failures, newlyStored: stored, ...rest });
  });

test('a batch that is completed or poisoned accounts for every frame exactly once', () => {
  fc.assert(
    fc.property(deliveries, (one) => {
      const settlement = chooseSettlement(one);
      fc.pre(settlement.kind === 'complete' || settlement.kind === 'poison');
      const givenUp = settlement.givenUp.map(({ frameIndex }) => frameIndex);
      const all = [...one.scored, ...one.failedBefore, ...givenUp];
      expect(all.toSorted((a, b) => a - b)).toEqual(framesOf(one.batch));
    }),
  );
});

test('a released batch has an open frame, a bounded delay and a valid message', () => {
  fc.assert(
    fc.property(deliveries, (one) => {
      const settlement = chooseSettlement(one);
      fc.pre(settlement.kind === 'release');
      const resolved = one.scored.size + one.failedBefore.size + settlement.givenUp.length;
      expect(resolved).toBeLessThan(framesOf(one.batch).length);
      expect(settlement.history.resolved).toBe(resolved);
      expect(settlement.delaySeconds).toBeLessThanOrEqual(60);
      expect(Number.isInteger(settlement.delaySeconds) && settlement.delaySeconds >= 0).toBe(true);
      const message = { ...one.batch, history: settlement.history };
      expect(decodeMessage(encodeMessage(message), batchMessage)).toEqual({ kind: 'valid', message });
    }),
  );
});

test('every sequence of deliveries without progress ends', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('crash', 'silent', 'drain', 'storage'), { minLength: 100 }),
      (fates) => {
        // Drains and outages do not count. The others are bounded: the eighth poisons the batch.
        const own = fates.filter((fate) => fate === 'crash').length;
        fc.pre(own >= 8);
        let batch = buildBatch({ frameStart: 0, frameEnd: 4 });
        for (const [index, fate] of fates.entries()) {
          if (fate === 'silent') continue;
          const interruption: RunInterruption =
            fate === 'crash'
              ? { kind: 'engine', message: 'crash' }
              : fate === 'drain'
                ? { kind: 'draining' }
                : { kind: 'storage', message: 'unavailable' };
          const nothing = { scored: new Set<number>(), newlyStored: 0 };
          const settlement = chooseSettlement(
            buildOutcome({ batch, ...nothing, interruption, dequeueCount: index + 1 }),
          );
          if (settlement.kind !== 'release') return;
          batch = buildBatch({ ...batch, history: settlement.history });
        }
        throw new Error('the batch never ended');
      },
    ),
  );
});

test('the history of a batch in which every frame fails keeps every frame and fits into the message', () => {
  const batch = buildBatch({ frameStart: 0, frameEnd: 512 });
  const failures = framesOf(batch).map((frameIndex) => buildFailure(frameIndex));
  const settlement = chooseSettlement(buildOutcome({ batch, scored: new Set(), newlyStored: 0, failures }));
  const history = settlement.kind === 'release' ? settlement.history : batch.history;
  expect(history.failures).toEqual([{ kind: 'inference', attempts: 1, worker: 'vm-0', frames: [[0, 512]] }]);
  expect(decodeMessage(encodeMessage({ ...batch, history }), batchMessage).kind).toBe('valid');
});
