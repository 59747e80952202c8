/** Properties of the settlement of every possible delivery. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { batchMessage, decodeMessage, encodeMessage, failureKind } from '../../shared/contract/messages.ts';
import { toHistoryFailures } from '../../worker/delivery/history.ts';
import {
  type DeliveryOutcome,
  type RunInterruption,
  type Settlement,
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
  { kind: 'piece', message: 'expected 64 frames, decoded 63' },
  { kind: 'engine', message: 'the engine died: SIGSEGV' },
  { kind: 'model', message: 'does not load', isPermanent: false },
  { kind: 'model', message: 'another sha256', isPermanent: true },
];

/** How a delivery ends for a frame. A frame that failed may be given up during the run; the replacement of a given-up frame may be stored. */
const FATES = [
  'scored',
  'replaced',
  'given up',
  'failed and given up',
  'open',
  ...failureKind.options,
] as const;

/** Any delivery of up to forty frames. */
const deliveries: fc.Arbitrary<DeliveryOutcome> = fc
  .record({
    fates: fc.array(fc.constantFrom(...FATES), { minLength: 1, maxLength: 40 }),
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
    const indices = (...wanted: (typeof FATES)[number][]) =>
      [...fates.entries()].flatMap(([index, fate]) => (wanted.includes(fate) ? [index] : []));
    const stored = new Set(indices('scored', 'replaced'));
    const givenUp = new Set(indices('replaced', 'given up', 'failed and given up'));
    const failures = [
      ...failureKind.options.flatMap((kind) =>
        indices(kind).map((index) => buildFailure(index, kind, attempts)),
      ),
      ...indices('failed and given up').map((index) => buildFailure(index, 'inference', attempts)),
    ];
    const earlier = new Map(
      before.map(
        ([frameIndex, kind, count]) => [frameIndex, { kind, attempts: count, worker: 'vm-1' }] as const,
      ),
    );
    const own = new Map([...earlier].filter(([frameIndex]) => frameIndex < fates.length));
    const history = { barren, failures: toHistoryFailures(own, new Set()) };
    const batch = buildBatch({ frameStart: 0, frameEnd: fates.length, history });
    const count = newlyStored ? indices('scored').length : 0;
    return buildOutcome({ batch, stored, givenUp, failures, newlyStored: count, ...rest });
  });

const givenUpIn = ({
  givenUp,
}: Pick<Extract<Settlement, { readonly kind: 'poison' }>, 'givenUp'>): number[] =>
  givenUp.map(({ frameIndex }) => frameIndex);

test('a batch that is completed or poisoned accounts for every frame', () => {
  fc.assert(
    fc.property(deliveries, (one) => {
      const settlement = chooseSettlement(one);
      fc.pre(settlement.kind === 'complete' || settlement.kind === 'poison');
      const unstored = settlement.kind === 'poison' ? [...one.givenUp, ...givenUpIn(settlement)] : [];
      const all = new Set([...one.stored, ...unstored]);
      expect([...all].toSorted((a, b) => a - b)).toEqual(framesOf(one.batch));
    }),
  );
});

test('a settlement gives up each frame once, and none that is stored or was given up before', () => {
  fc.assert(
    fc.property(deliveries, (one) => {
      const settlement = chooseSettlement(one);
      fc.pre(settlement.kind === 'release' || settlement.kind === 'poison');
      const givenUp = givenUpIn(settlement);
      expect(new Set(givenUp).size).toBe(givenUp.length);
      expect(givenUp.filter((frame) => one.stored.has(frame) || one.givenUp.has(frame))).toEqual([]);
    }),
  );
});

test('a released batch has a frame that is not stored, a bounded delay and a valid message', () => {
  fc.assert(
    fc.property(deliveries, (one) => {
      const settlement = chooseSettlement(one);
      fc.pre(settlement.kind === 'release');
      expect(one.stored.size).toBeLessThan(framesOf(one.batch).length);
      const resolved = new Set([...one.stored, ...one.givenUp, ...givenUpIn(settlement)]);
      expect(settlement.history.resolved).toBe(resolved.size);
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
        // Drains and outages do not count. The others are bounded: the eighth gives the batch up, and the sixteenth poisons it.
        const own = fates.filter((fate) => fate === 'crash').length;
        fc.pre(own >= 16);
        const givenUp = new Set<number>();
        let batch = buildBatch({ frameStart: 0, frameEnd: 4 });
        for (const [index, fate] of fates.entries()) {
          if (fate === 'silent') continue;
          const interruption: RunInterruption =
            fate === 'crash'
              ? { kind: 'engine', message: 'crash' }
              : fate === 'drain'
                ? { kind: 'draining' }
                : { kind: 'storage', message: 'unavailable' };
          const nothing = { stored: new Set<number>(), newlyStored: 0, givenUp };
          const settlement = chooseSettlement(
            buildOutcome({ batch, ...nothing, interruption, dequeueCount: index + 1 }),
          );
          if (settlement.kind !== 'release') return;
          for (const frameIndex of givenUpIn(settlement)) givenUp.add(frameIndex);
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
  const settlement = chooseSettlement(buildOutcome({ batch, stored: new Set(), failures }));
  const history = settlement.kind === 'release' ? settlement.history : batch.history;
  expect(history.failures).toEqual([{ kind: 'inference', attempts: 1, worker: 'vm-0', frames: [[0, 512]] }]);
  expect(decodeMessage(encodeMessage({ ...batch, history }), batchMessage).kind).toBe('valid');
});
