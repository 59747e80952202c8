/** Deliveries that failed because of storage: neither the batch nor its frames are charged with them. */
import { expect, test } from 'vitest';

import { batchMessage, decodeMessage, encodeMessage } from '../../shared/contract/messages.ts';
import { segmentsOf } from '../../shared/contract/segment.ts';
import { planDelivery } from '../../worker/delivery/history.ts';
import { chooseSettlement, framesOf, releaseUnstarted } from '../../worker/delivery/settlement.ts';
import { buildBatch } from '../support/build-batch.ts';
import { buildOutcome, buildFailure } from '../support/build-outcome.ts';

const AWAY = { kind: 'storage', message: 'storage is unavailable' } as const;
const BATCH = { frameStart: 30, frameEnd: 34 };

test('no frame is charged if storage became unavailable, even after other frames were stored', () => {
  const settlement = chooseSettlement(buildOutcome({ interruption: AWAY }));
  expect(settlement).toMatchObject({ kind: 'release', givenUp: [], history: { barren: 0, failures: [] } });
});

test('an inference failure of a frame counts even if storage became unavailable later', () => {
  const delivery = buildOutcome({ interruption: AWAY, failures: [buildFailure(33, 'inference')] });
  expect(chooseSettlement(delivery)).toMatchObject({
    history: { failures: [{ kind: 'inference', attempts: 1 }] },
  });
});

test('a storage outage does not give a batch up because of earlier deliveries without progress', () => {
  const batch = buildBatch({ ...BATCH, history: { barren: 9, resolved: 3 } });
  expect(chooseSettlement(buildOutcome({ batch, interruption: AWAY }))).toMatchObject({
    kind: 'release',
    givenUp: [],
    history: { barren: 9 },
  });
  const engine = { kind: 'engine', message: 'it died' } as const;
  expect(chooseSettlement(buildOutcome({ batch, interruption: engine }))).toMatchObject({
    givenUp: [{ frameIndex: 33, kind: 'engine' }],
  });
});

test('deliveries that could not start are not counted, and do not hide earlier deaths', () => {
  let batch = buildBatch({ ...BATCH, history: { carefulFrame: 31 } });
  const killed = 2;
  for (let dequeueCount = killed + 1; dequeueCount <= killed + 20; dequeueCount += 1) {
    const { history, delaySeconds } = releaseUnstarted({ batch, dequeueCount });
    expect(delaySeconds).toBeGreaterThanOrEqual(10);
    expect(delaySeconds).toBeLessThan(30);
    batch = buildBatch({ ...batch, history });
  }
  expect(decodeMessage(encodeMessage(batch), batchMessage).kind).toBe('valid');
  const plan = planDelivery({
    history: batch.history,
    dequeueCount: killed + 21,
    frames: framesOf(batch),
    resolved: new Set(),
    openSegments: segmentsOf([30, 34], 1),
    worker: 'vm-0',
  });
  expect(plan.history).toMatchObject({ barren: killed, failures: [{ kind: 'engine', frames: [[31, 32]] }] });
});

test('a worker that survived a lost lease does not count the saved frame as a death, but another worker does', () => {
  const history = { ...buildBatch().history, deliveries: 4, carefulFrame: 31 };
  const received = {
    history,
    dequeueCount: 7,
    frames: [30, 31],
    resolved: new Set<number>(),
    openSegments: [[30, 32]] as const,
    worker: 'vm-0',
  };
  expect(planDelivery({ ...received, survivedDelivery: 5 }).history.failures).toEqual([]);
  for (const survivedDelivery of [undefined, 4])
    expect(planDelivery({ ...received, survivedDelivery }).history.failures).toMatchObject([
      { frames: [[31, 32]] },
    ]);
});

test('frames that storage did not deliver for a day fail as storage, and keep the failures that they had', () => {
  const failures = [buildFailure(33)];
  const settlement = chooseSettlement(
    buildOutcome({ stored: new Set([30, 31]), interruption: AWAY, failures, dequeueCount: 4_321 }),
  );
  expect(settlement).toMatchObject({
    kind: 'poison',
    givenUp: [
      { frameIndex: 32, kind: 'storage', message: AWAY.message },
      { frameIndex: 33, kind: 'inference' },
    ],
  });
});
