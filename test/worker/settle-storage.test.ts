/** Deliveries that storage has spoiled: whoever is charged with them, it is neither the batch nor its frames. */
import { expect, test } from 'vitest';

import { batchMessage, decodeMessage, encodeMessage } from '../../shared/contract/messages.ts';
import { outset } from '../../worker/delivery/history.ts';
import { framesOf, settle, unbegun } from '../../worker/delivery/settle.ts';
import { buildBatch } from '../support/build-batch.ts';
import { buildDelivery, buildTrouble } from '../support/build-delivery.ts';

const AWAY = { kind: 'storage', message: 'storage gives and takes nothing' } as const;
const BATCH = { frameStart: 30, frameEnd: 34 };

test('a frame that failed while storage went away is not charged, though others were stored before', () => {
  const troubles = [buildTrouble(33, 'storage')];
  const decision = settle(buildDelivery({ interruption: AWAY, troubles }));
  expect(decision).toMatchObject({ kind: 'release', givenUp: [], history: { barren: 0, failures: [] } });
  expect(settle(buildDelivery({ troubles }))).toMatchObject({
    history: { failures: [{ kind: 'storage', attempts: 1, frames: [[33, 34]] }] },
  });
});

test('what is wrong with a frame itself is charged, though storage went away later', () => {
  const delivery = buildDelivery({ interruption: AWAY, troubles: [buildTrouble(33, 'inference')] });
  expect(settle(delivery)).toMatchObject({ history: { failures: [{ kind: 'inference', attempts: 1 }] } });
});

test('a batch is not put aside for a delivery that was nobody’s fault, however many got nowhere before', () => {
  const batch = buildBatch({ ...BATCH, history: { barren: 9, resolved: 3 } });
  expect(settle(buildDelivery({ batch, interruption: AWAY }))).toMatchObject({
    kind: 'release',
    history: { barren: 9 },
  });
  const engine = { kind: 'engine', message: 'it died' } as const;
  expect(settle(buildDelivery({ batch, interruption: engine })).kind).toBe('poison');
});

test('deliveries that storage did not let begin count as none, and hide none that came before', () => {
  let batch = buildBatch({ ...BATCH, history: { carefulFrame: 31 } });
  const killed = 2;
  for (let dequeueCount = killed + 1; dequeueCount <= killed + 20; dequeueCount += 1) {
    const { history, delaySeconds } = unbegun({ batch, dequeueCount });
    expect(delaySeconds).toBeGreaterThanOrEqual(10);
    expect(delaySeconds).toBeLessThan(30);
    batch = buildBatch({ ...batch, history });
  }
  expect(decodeMessage(encodeMessage(batch), batchMessage).kind).toBe('valid');
  const begin = outset({
    history: batch.history,
    dequeueCount: killed + 21,
    frames: framesOf(batch),
    resolved: new Set(),
    worker: 'vm-0',
  });
  expect(begin.history).toMatchObject({ barren: killed, failures: [{ kind: 'engine', frames: [[31, 32]] }] });
});

test('a worker that lost a lease with a frame’s number saved knows that nobody died of it; another cannot', () => {
  const history = { ...buildBatch().history, deliveries: 4, carefulFrame: 31 };
  const arrival = { history, dequeueCount: 7, frames: [30, 31], resolved: new Set<number>(), worker: 'vm-0' };
  expect(outset({ ...arrival, livedThrough: 5 }).history.failures).toEqual([]);
  for (const livedThrough of [undefined, 4])
    expect(outset({ ...arrival, livedThrough }).history.failures).toMatchObject([{ frames: [[31, 32]] }]);
});
