import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { failureKind } from '../../shared/contract/messages.ts';
import {
  type Arrival,
  KILLED_WORKER,
  attemptsMax,
  failuresFrom,
  outset,
  triesOf,
} from '../../worker/delivery/history.ts';
import { buildBatch } from '../support/build-batch.ts';

const FRAMES = [30, 31, 32, 33];
const FRESH = buildBatch().history;

function arrive(fields: Partial<Omit<Arrival, 'history'>> & { history?: Partial<Arrival['history']> } = {}) {
  const { history, ...rest } = fields;
  return outset({
    history: { ...FRESH, ...history },
    dequeueCount: 1,
    frames: FRAMES,
    resolved: new Set(),
    worker: 'vm-0',
    ...rest,
  });
}

test('a batch that comes for the first time is run at once, and nothing needs saving', () => {
  expect(arrive()).toEqual({
    history: FRESH,
    mustSave: false,
    approach: 'at-once',
    suspects: [],
    givenUp: new Map(),
  });
});

test('a delivery after a release knows how that ended, and charges nobody', () => {
  const history = { releases: 3, deliveries: 3, resolved: 1, barren: 2 };
  expect(arrive({ history, dequeueCount: 4, resolved: new Set([30]) })).toMatchObject({
    history: { deliveries: 3, barren: 2 },
    mustSave: false,
    approach: 'at-once',
  });
});

test('workers that were killed but stored something are forgiven, however many they were', () => {
  const arrived = arrive({ dequeueCount: 11, resolved: new Set([30]) });
  expect(arrived).toMatchObject({
    history: { deliveries: 10, resolved: 1, barren: 0 },
    mustSave: true,
    approach: 'at-once',
  });
});

test('from the third delivery in a row that got nowhere, frames are tried one by one', () => {
  const approaches = [1, 2, 3, 4, 5].map((dequeueCount) => arrive({ dequeueCount }).approach);
  expect(approaches).toEqual(['at-once', 'at-once', 'at-once', 'carefully', 'carefully']);
  const resolved = new Set([30, 31]);
  const history = { deliveries: 2, resolved: 2, barren: 2 };
  expect(arrive({ history, dequeueCount: 4, resolved }).approach).toBe('carefully');
  expect(arrive({ history, dequeueCount: 4, resolved: new Set([30, 31, 32]) }).approach).toBe('at-once');
});

test('a worker that was killed with a frame saved speaks against the frame, and the second proves it', () => {
  const once = arrive({ history: { carefulFrame: 31, deliveries: 3, barren: 3 }, dequeueCount: 5 });
  expect(once.history).toMatchObject({
    carefulFrame: null,
    barren: 4,
    failures: [{ kind: 'engine', attempts: 1, worker: KILLED_WORKER, frames: [[31, 32]] }],
  });
  expect([once.givenUp.size, once.approach, once.suspects]).toEqual([0, 'carefully', FRAMES]);
  const twice = arrive({ history: { ...once.history, carefulFrame: 31 }, dequeueCount: 6 });
  expect([...twice.givenUp]).toEqual([[31, { kind: 'engine', attempts: 2, worker: KILLED_WORKER }]]);
});

test('a frame that a worker died of is tried alone, even where the batch gets on again', () => {
  const history = { carefulFrame: 31, deliveries: 3, barren: 3 };
  const arrived = arrive({ history, dequeueCount: 5, resolved: new Set([30]) });
  expect([arrived.approach, arrived.suspects, arrived.history.barren]).toEqual(['at-once', [31], 0]);
});

test('a frame that is stored by now, or that was saved by a worker that spoke, is not suspected', () => {
  const stored = arrive({ history: { carefulFrame: 31 }, dequeueCount: 2, resolved: new Set([31]) });
  expect(stored.history.failures).toEqual([]);
  const told = arrive({ history: { carefulFrame: 31, deliveries: 1 }, dequeueCount: 2 });
  expect(told.history.failures).toEqual([]);
});

test('whoever has failed all that is left passes it on once, and then tries again', () => {
  const failures = [{ kind: 'inference' as const, attempts: 1, worker: 'vm-0', frames: [[32, 34] as const] }];
  const resolved = new Set([30, 31]);
  const history = { failures, deliveries: 1, resolved: 2 };
  expect(arrive({ history, dequeueCount: 2, resolved }).approach).toBe('pass-on');
  expect(arrive({ history, dequeueCount: 2, resolved, worker: 'vm-1' }).approach).toBe('at-once');
  expect(arrive({ history: { ...history, passedOnBy: 'vm-0' }, dequeueCount: 3, resolved }).approach).toBe(
    'at-once',
  );
  expect(arrive({ history, dequeueCount: 2, resolved: new Set([30]) }).approach).toBe('at-once');
});

test('failures go into a message and come out of it as they were, each frame once', () => {
  const tries = fc.record({
    kind: fc.constantFrom(...failureKind.options),
    attempts: fc.nat({ max: 3 }),
    worker: fc.constantFrom('vm-0', 'vm-1'),
  });
  fc.assert(
    fc.property(fc.dictionary(fc.nat({ max: 511 }).map(String), tries), (byFrame) => {
      const known = new Map(Object.entries(byFrame).map(([frame, one]) => [Number(frame), one]));
      const found = triesOf({ failures: failuresFrom(known, new Set([7])) });
      known.delete(7);
      expect(new Map([...found].toSorted(([a], [b]) => a - b))).toEqual(
        new Map([...known].toSorted(([a], [b]) => a - b)),
      );
    }),
  );
});

test('a hundred workers that failed a frame each are too many names: the frames and their tries stay', () => {
  const known = Array.from({ length: 100 }, (_, frame) => {
    return [frame, { kind: 'inference' as const, attempts: 2, worker: `vm-${frame}` }] as const;
  });
  const failures = failuresFrom(new Map(known), new Set());
  expect(failures).toEqual([{ kind: 'inference', attempts: 2, worker: KILLED_WORKER, frames: [[0, 100]] }]);
});

test('only what cannot pass is given up at the first try', () => {
  const single = failureKind.options.filter((kind) => attemptsMax(kind) === 1);
  expect(single.toSorted()).toEqual(['model', 'undecodable']);
});
