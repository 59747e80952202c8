import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { failureKind } from '../../shared/contract/messages.ts';
import {
  KILLED_WORKER,
  type DeliveryStart,
  attemptsMax,
  failuresByFrame,
  planDelivery,
  toHistoryFailures,
} from '../../worker/delivery/history.ts';
import { buildBatch } from '../support/build-batch.ts';

const FRAMES = [30, 31, 32, 33];
const SEGMENTS = [
  [30, 32],
  [32, 34],
] as const;
const FRESH = buildBatch().history;

function plan(
  fields: Partial<Omit<DeliveryStart, 'history'>> & { history?: Partial<DeliveryStart['history']> } = {},
) {
  const { history, ...rest } = fields;
  return planDelivery({
    history: { ...FRESH, ...history },
    dequeueCount: 1,
    frames: FRAMES,
    resolved: new Set(),
    openSegments: SEGMENTS,
    worker: 'vm-0',
    ...rest,
  });
}

test('the first delivery of a batch runs all frames at once and saves nothing first', () => {
  expect(plan()).toEqual({
    history: FRESH,
    mustSave: false,
    approach: 'together',
    suspects: [],
    givenUp: [],
  });
});

test('a delivery after releases leaves the count of barren deliveries as it is', () => {
  const history = { releases: 3, deliveries: 3, resolved: 1, barren: 2 };
  expect(plan({ history, dequeueCount: 4, resolved: new Set([30]) })).toMatchObject({
    history: { deliveries: 3, barren: 2 },
    mustSave: false,
    approach: 'together',
  });
});

test('any number of killed workers do not count if frames were stored', () => {
  const planned = plan({ dequeueCount: 11, resolved: new Set([30]) });
  expect(planned).toMatchObject({
    history: { deliveries: 10, resolved: 1, barren: 0 },
    mustSave: true,
    approach: 'together',
  });
});

test('after three deliveries in a row without progress, frames are tried one by one', () => {
  const approaches = [1, 2, 3, 4, 5].map((dequeueCount) => plan({ dequeueCount }).approach);
  expect(approaches).toEqual(['together', 'together', 'together', 'alone', 'alone']);
  const resolved = new Set([30, 31]);
  const history = { deliveries: 2, resolved: 2, barren: 2 };
  expect(plan({ history, dequeueCount: 4, resolved }).approach).toBe('alone');
  expect(plan({ history, dequeueCount: 4, resolved: new Set([30, 31, 32]) }).approach).toBe('together');
});

test('a worker killed with a frame saved counts against the frame, and the second such death gives it up', () => {
  const once = plan({ history: { carefulFrame: 31, deliveries: 3, barren: 3 }, dequeueCount: 5 });
  expect(once.history).toMatchObject({
    carefulFrame: null,
    barren: 4,
    failures: [{ kind: 'engine', attempts: 1, worker: KILLED_WORKER, frames: [[31, 32]] }],
  });
  expect([once.givenUp.length, once.approach, once.suspects]).toEqual([0, 'alone', FRAMES]);
  const twice = plan({ history: { ...once.history, carefulFrame: 31 }, dequeueCount: 6 });
  expect(twice.givenUp).toEqual([
    {
      frameIndex: 31,
      kind: 'engine',
      message: '2 workers or engines died while processing this frame',
      attempts: 2,
    },
  ]);
  expect(twice.history.failures).toMatchObject([{ attempts: 2, worker: KILLED_WORKER }]);
  expect(twice.suspects).toEqual([30, 32, 33]);
});

test('a frame that a worker died of is tried alone, even if the batch makes progress again', () => {
  const history = { carefulFrame: 31, deliveries: 3, barren: 3 };
  const planned = plan({ history, dequeueCount: 5, resolved: new Set([30]) });
  expect([planned.approach, planned.suspects, planned.history.barren]).toEqual(['together', [31], 0]);
});

test('a saved frame is not suspect if it is stored by now, or if its delivery ended with a release', () => {
  const stored = plan({ history: { carefulFrame: 31 }, dequeueCount: 2, resolved: new Set([31]) });
  expect(stored.history.failures).toEqual([]);
  const reported = plan({ history: { carefulFrame: 31, deliveries: 1 }, dequeueCount: 2 });
  expect(reported.history.failures).toEqual([]);
});

test('a worker that has failed a frame of every open segment passes the batch on once, and then tries again', () => {
  const failures = [{ kind: 'inference' as const, attempts: 1, worker: 'vm-0', frames: [[33, 34] as const] }];
  const history = { failures, deliveries: 1, resolved: 2 };
  const second = { history, dequeueCount: 2, resolved: new Set([30, 31]), openSegments: [SEGMENTS[1]] };
  expect(plan(second).approach).toBe('pass-on');
  expect(plan({ ...second, worker: 'vm-1' }).approach).toBe('together');
  const passedOn = { ...second, history: { ...history, passedOnBy: 'vm-0' }, dequeueCount: 3 };
  expect(plan(passedOn).approach).toBe('together');
  expect(plan({ ...second, resolved: new Set(), openSegments: SEGMENTS }).approach).toBe('together');
});

test('a batch is not passed on if its open segments need no attempt, or if it has none', () => {
  const failures = [{ kind: 'inference' as const, attempts: 3, worker: 'vm-0', frames: [[33, 34] as const] }];
  const history = { failures, deliveries: 1, resolved: 3 };
  const resolved = new Set([30, 31, 32]);
  const exhausted = plan({ history, dequeueCount: 2, resolved, openSegments: [SEGMENTS[1]] });
  expect([exhausted.approach, exhausted.givenUp.length]).toEqual(['together', 1]);
  expect(plan({ resolved: new Set(FRAMES), openSegments: [SEGMENTS[1]] }).approach).toBe('together');
  expect(plan({ resolved: new Set(FRAMES), openSegments: [] }).approach).toBe('together');
});

test('failures survive the conversion to a message and back, each frame once', () => {
  const failure = fc.record({
    kind: fc.constantFrom(...failureKind.options),
    attempts: fc.nat({ max: 3 }),
    worker: fc.constantFrom('vm-0', 'vm-1'),
  });
  fc.assert(
    fc.property(fc.dictionary(fc.nat({ max: 511 }).map(String), failure), (byFrame) => {
      const known = new Map(Object.entries(byFrame).map(([frame, one]) => [Number(frame), one]));
      const found = failuresByFrame({ failures: toHistoryFailures(known, new Set([7])) });
      known.delete(7);
      expect(new Map([...found].toSorted(([a], [b]) => a - b))).toEqual(
        new Map([...known].toSorted(([a], [b]) => a - b)),
      );
    }),
  );
});

test('with too many workers to name, the history drops the names and keeps frames and attempts', () => {
  const known = Array.from({ length: 100 }, (_, frame) => {
    return [frame, { kind: 'inference' as const, attempts: 2, worker: `vm-${frame}` }] as const;
  });
  const failures = toHistoryFailures(new Map(known), new Set());
  expect(failures).toEqual([{ kind: 'inference', attempts: 2, worker: KILLED_WORKER, frames: [[0, 100]] }]);
});

test('only failures of models and sources are given up at the first attempt', () => {
  const single = failureKind.options.filter((kind) => attemptsMax(kind) === 1);
  expect(single).toEqual(['model', 'source']);
});
