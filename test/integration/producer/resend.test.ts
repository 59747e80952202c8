/** A batch that gets no further is sent again, whatever became of its message. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { openSplitJob } from '../../support/build-job.ts';
import { countOfMetric } from '../../support/control-plane.ts';
import { type DispatchBench, RESEND_MS, namesOf, startDispatchBench } from '../../support/dispatch-bench.ts';

const FIRST_FOUR = ['job-1/0', 'job-1/1', 'job-1/2', 'job-1/3'];

let bench: DispatchBench;

beforeAll(async () => {
  bench = await startDispatchBench();
});
afterAll(() => bench[Symbol.asyncDispose]());
beforeEach(async () => {
  await bench.reset();
  await openSplitJob(bench.ledger, 'job-1', { frameCount: 100, batchSize: 10 });
  await bench.dispatch();
});

/** What is stale is found in one pass and sent, at the latest, in the next. */
async function dispatchTwice(): Promise<string[]> {
  await bench.dispatch();
  await bench.dispatch();
  return namesOf(await bench.takeAll());
}

test('a batch whose message vanished is sent again, but not before its time', async () => {
  const resentBefore = await countOfMetric(bench.control.metrics.batchesResent);
  await bench.batches.clear();
  bench.clock.advance(RESEND_MS - 1000);
  expect(await dispatchTwice()).toEqual([]);
  bench.clock.advance(1000);
  expect(await dispatchTwice()).toEqual(FIRST_FOUR);
  expect((await countOfMetric(bench.control.metrics.batchesResent)) - resentBefore).toBe(4);
});

test('its time begins again when it is sent again', async () => {
  await bench.batches.clear();
  bench.clock.advance(RESEND_MS + 1000);
  expect(await dispatchTwice()).toEqual(FIRST_FOUR);
  bench.clock.advance(RESEND_MS - 1000);
  expect(await dispatchTwice()).toEqual([]);
  bench.clock.advance(1000);
  expect(await dispatchTwice()).toEqual(FIRST_FOUR);
});

test('a batch that gets on is not sent again, and neither is one that is finished', async () => {
  await bench.takeAll();
  bench.clock.advance(RESEND_MS - 1000);
  const nowMs = bench.clock.now().getTime();
  await bench.ledger.resolve('job-1', { batchIndex: 2, scored: [[20, 21]], failed: [], nowMs });
  await bench.ledger.resolve('job-1', { batchIndex: 3, scored: [[30, 40]], failed: [], nowMs });
  bench.clock.advance(2000);
  // Batch 4 is new: it takes the place of batch 3.
  expect(await dispatchTwice()).toEqual(['job-1/0', 'job-1/1', 'job-1/4']);
});

test('what others put on the queue hides a vanished message for a while, and not for ever', async () => {
  await bench.batches.clear();
  for (let junk = 0; junk < FIRST_FOUR.length; junk += 1) await bench.batches.queue.send('anything');
  bench.clock.advance(10 * RESEND_MS - 1000);
  await bench.dispatch();
  await bench.dispatch();
  expect(await bench.batches.queue.countApprox()).toBe(FIRST_FOUR.length);
  bench.clock.advance(2000);
  await bench.dispatch();
  await bench.dispatch();
  expect(await bench.batches.queue.countApprox()).toBe(2 * FIRST_FOUR.length);
});

test('two producers send a stale batch again once', async () => {
  await bench.batches.clear();
  bench.clock.advance(RESEND_MS + 1000);
  await Promise.all([bench.dispatch(), bench.dispatchByOther()]);
  await Promise.all([bench.dispatch(), bench.dispatchByOther()]);
  const sent = namesOf(await bench.takeAll());
  expect(sent).toEqual([...new Set(sent)]);
  expect(sent).toEqual(expect.arrayContaining(FIRST_FOUR));
});
