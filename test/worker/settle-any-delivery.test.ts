/** What holds for every delivery there may be, however unlikely. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { batchMessage, decodeMessage, encodeMessage, failureKind } from '../../shared/contract/messages.ts';
import { failuresFrom } from '../../worker/delivery/history.ts';
import { type Delivery, type Interruption, framesOf, settle } from '../../worker/delivery/settle.ts';
import { buildBatch } from '../support/build-batch.ts';
import { buildDelivery, buildTrouble } from '../support/build-delivery.ts';

const interruptions: readonly (Interruption | null)[] = [
  null,
  { kind: 'draining' },
  { kind: 'passing-on' },
  { kind: 'storage', message: 'away' },
  { kind: 'engine', message: 'the engine died: SIGSEGV' },
  { kind: 'model', message: 'does not load', isHopeless: false },
  { kind: 'model', message: 'not the one', isHopeless: true },
];

/** Any delivery of up to forty frames: each is stored, was given up before, has failed, or was not come to. */
const deliveries: fc.Arbitrary<Delivery> = fc
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
    times: fc.integer({ min: 1, max: 3 }),
    interruption: fc.constantFrom(...interruptions),
  })
  .map(({ fates, before, barren, newlyStored, times, ...rest }) => {
    const indices = (wanted: string) => [...fates.keys()].filter((index) => fates[index] === wanted);
    const scored = new Set(indices('scored'));
    const troubles = failureKind.options.flatMap((kind) =>
      indices(kind).map((index) => buildTrouble(index, kind, times)),
    );
    const tries = new Map(
      before.map(([frameIndex, kind, attempts]) => [frameIndex, { kind, attempts, worker: 'vm-1' }] as const),
    );
    const own = new Map([...tries].filter(([frameIndex]) => frameIndex < fates.length));
    const history = { barren, failures: failuresFrom(own, new Set()) };
    const batch = buildBatch({ frameStart: 0, frameEnd: fates.length, history });
    const failedBefore = new Set(indices('failed before'));
    const stored = newlyStored ? scored.size : 0;
    return buildDelivery({ batch, scored, failedBefore, troubles, newlyStored: stored, ...rest });
  });

test('a batch that is completed or poisoned accounts for every frame exactly once', () => {
  fc.assert(
    fc.property(deliveries, (one) => {
      const decision = settle(one);
      fc.pre(decision.kind === 'complete' || decision.kind === 'poison');
      const givenUp = decision.givenUp.map(({ frameIndex }) => frameIndex);
      const all = [...one.scored, ...one.failedBefore, ...givenUp];
      expect(all.toSorted((a, b) => a - b)).toEqual(framesOf(one.batch));
    }),
  );
});

test('a batch that is released leaves a frame to do, a bounded delay and a message that is valid', () => {
  fc.assert(
    fc.property(deliveries, (one) => {
      const decision = settle(one);
      fc.pre(decision.kind === 'release');
      const resolved = one.scored.size + one.failedBefore.size + decision.givenUp.length;
      expect(resolved).toBeLessThan(framesOf(one.batch).length);
      expect(decision.history.resolved).toBe(resolved);
      expect(decision.delaySeconds).toBeLessThanOrEqual(60);
      expect(Number.isInteger(decision.delaySeconds) && decision.delaySeconds >= 0).toBe(true);
      const message = { ...one.batch, history: decision.history };
      expect(decodeMessage(encodeMessage(message), batchMessage)).toEqual({ kind: 'valid', message });
    }),
  );
});

test('whatever happens to a batch, it ends: no sequence of deliveries that get nowhere goes on', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('crash', 'silent', 'drain', 'storage'), { minLength: 100 }),
      (fates) => {
        // Nobody's fault is nobody's fault; what remains is bounded by the eighth barren delivery.
        const own = fates.filter((fate) => fate === 'crash').length;
        fc.pre(own >= 8);
        let batch = buildBatch({ frameStart: 0, frameEnd: 4 });
        for (const [index, fate] of fates.entries()) {
          if (fate === 'silent') continue;
          const interruption: Interruption =
            fate === 'crash'
              ? { kind: 'engine', message: 'crash' }
              : fate === 'drain'
                ? { kind: 'draining' }
                : { kind: 'storage', message: 'away' };
          const nothing = { scored: new Set<number>(), newlyStored: 0 };
          const decision = settle(
            buildDelivery({ batch, ...nothing, interruption, dequeueCount: index + 1 }),
          );
          if (decision.kind !== 'release') return;
          batch = buildBatch({ ...batch, history: decision.history });
        }
        throw new Error('it never ended');
      },
    ),
  );
});

test('the history of a batch in which everything fails keeps every frame, and fits into its message', () => {
  const batch = buildBatch({ frameStart: 0, frameEnd: 512 });
  const troubles = framesOf(batch).map((frameIndex) => buildTrouble(frameIndex));
  const decision = settle(buildDelivery({ batch, scored: new Set(), newlyStored: 0, troubles }));
  const history = decision.kind === 'release' ? decision.history : batch.history;
  expect(history.failures).toEqual([{ kind: 'inference', attempts: 1, worker: 'vm-0', frames: [[0, 512]] }]);
  expect(decodeMessage(encodeMessage({ ...batch, history }), batchMessage).kind).toBe('valid');
});
