/** What holds for every delivery there may be, however unlikely. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { batchMessage, decodeMessage, encodeMessage, failureKind } from '../../shared/contract/messages.ts';
import { type Delivery, framesOf, settle } from '../../worker/settle.ts';
import { buildBatch } from '../support/build-batch.ts';
import { buildDelivery, buildFailure } from '../support/build-delivery.ts';

const CRASH = { engine: 'the engine ended: SIGSEGV' };

/** Any delivery of up to forty frames: each is stored, has failed, or was not come to. */
const deliveries: fc.Arbitrary<Delivery> = fc
  .record({
    fates: fc.array(fc.constantFrom('scored', 'open', ...failureKind.options), {
      minLength: 1,
      maxLength: 40,
    }),
    before: fc.array(
      fc.tuple(fc.nat({ max: 39 }), fc.constantFrom(...failureKind.options), fc.nat({ max: 4 })),
    ),
    barren: fc.nat({ max: 9 }),
    unreleased: fc.integer({ min: 1, max: 40 }),
    newlyStored: fc.boolean(),
    interruption: fc.constantFrom(null, 'draining' as const, CRASH),
  })
  .map(({ fates, before, barren, newlyStored, ...rest }) => {
    const indices = (wanted: (fate: string) => boolean) =>
      [...fates.keys()].filter((index) => wanted(fates[index] ?? ''));
    const scored = new Set(indices((fate) => fate === 'scored'));
    const failed = fates.flatMap((fate, index) =>
      fate === 'scored' || fate === 'open' ? [] : [buildFailure(index, fate)],
    );
    const failures = before.map(([frameIndex, kind, attempts]) => ({
      frameIndex,
      kind,
      attempts,
      worker: 'vm-1',
    }));
    const batch = buildBatch({ frameStart: 0, frameEnd: fates.length, history: { barren, failures } });
    return buildDelivery({ batch, scored, failed, newlyStored: newlyStored ? scored.size : 0, ...rest });
  });

test('a batch that is completed or poisoned accounts for every frame exactly once', () => {
  fc.assert(
    fc.property(deliveries, (one) => {
      const decision = settle(one);
      fc.pre(decision.kind === 'complete' || decision.kind === 'poison');
      const failed = decision.failed.map(({ frameIndex }) => frameIndex);
      expect([...one.scored, ...failed].toSorted((a, b) => a - b)).toEqual(framesOf(one.batch));
    }),
  );
});

test('a batch that is released leaves a frame to do, a bounded delay and a message that is valid', () => {
  fc.assert(
    fc.property(deliveries, (one) => {
      const decision = settle(one);
      fc.pre(decision.kind === 'release');
      expect(one.scored.size).toBeLessThan(framesOf(one.batch).length);
      expect(decision.delaySeconds).toBeLessThanOrEqual(60);
      expect(Number.isInteger(decision.delaySeconds) && decision.delaySeconds >= 0).toBe(true);
      const message = { ...one.batch, history: decision.history };
      expect(decodeMessage(encodeMessage(message), batchMessage)).toEqual({ kind: 'valid', message });
    }),
  );
});

test('the history of a batch in which everything fails still fits into its message', () => {
  const batch = buildBatch({ frameStart: 0, frameEnd: 512 });
  const failed = framesOf(batch).map((frameIndex) => buildFailure(frameIndex));
  const decision = settle(buildDelivery({ batch, scored: new Set(), newlyStored: 0, failed }));
  const history = decision.kind === 'release' ? decision.history : batch.history;
  expect(history.failures.length).toBeGreaterThan(0);
  expect(decodeMessage(encodeMessage({ ...batch, history }), batchMessage).kind).toBe('valid');
});
