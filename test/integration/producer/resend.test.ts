/** A batch without progress is sent again, whatever happened to its message. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { firstSplit, openSplitJob } from '../../support/build-job.ts';
import { countOfMetric } from '../../support/control-plane.ts';
import {
  type DispatchFixture,
  RESEND_MS,
  namesOf,
  startDispatchFixture,
} from '../../support/dispatch-fixture.ts';

const FIRST_FOUR = ['job-1/0', 'job-1/1', 'job-1/2', 'job-1/3'];

let fixture: DispatchFixture;

beforeAll(async () => {
  fixture = await startDispatchFixture();
});
afterAll(() => fixture[Symbol.asyncDispose]());
beforeEach(async () => {
  await fixture.reset();
  await openSplitJob(fixture.ledger, 'job-1', { frameCount: 100, batchSize: 10 });
  await fixture.dispatch();
});

/** One pass finds stale batches; the same or the next pass sends them. */
async function dispatchTwice(): Promise<string[]> {
  await fixture.dispatch();
  await fixture.dispatch();
  return namesOf(await fixture.takeAll());
}

test('a batch whose message was lost is sent again after the time limit', async () => {
  const resentBefore = await countOfMetric(fixture.control.metrics.batchesResent);
  await fixture.batches.clear();
  fixture.clock.advance(RESEND_MS - 1000);
  expect(await dispatchTwice()).toEqual([]);
  fixture.clock.advance(1000);
  expect(await dispatchTwice()).toEqual(FIRST_FOUR);
  expect((await countOfMetric(fixture.control.metrics.batchesResent)) - resentBefore).toBe(4);
});

test('the time limit starts again when a batch is sent again', async () => {
  await fixture.batches.clear();
  fixture.clock.advance(RESEND_MS + 1000);
  expect(await dispatchTwice()).toEqual(FIRST_FOUR);
  fixture.clock.advance(RESEND_MS - 1000);
  expect(await dispatchTwice()).toEqual([]);
  fixture.clock.advance(1000);
  expect(await dispatchTwice()).toEqual(FIRST_FOUR);
});

test('a batch with progress and a finished batch are not sent again', async () => {
  await fixture.takeAll();
  fixture.clock.advance(RESEND_MS - 1000);
  const nowMs = fixture.clock.now().getTime();
  await fixture.ledger.resolve(firstSplit('job-1'), { batchIndex: 2, scored: [[20, 21]], failed: [], nowMs });
  await fixture.ledger.resolve(firstSplit('job-1'), { batchIndex: 3, scored: [[30, 40]], failed: [], nowMs });
  fixture.clock.advance(2000);
  // Batch 4 is new. It takes the place of batch 3 in the window.
  expect(await dispatchTwice()).toEqual(['job-1/0', 'job-1/1', 'job-1/4']);
});

test('unrelated messages on the queue delay a resend but do not prevent it', async () => {
  await fixture.batches.clear();
  for (let junk = 0; junk < FIRST_FOUR.length; junk += 1) await fixture.batches.queue.send('anything');
  fixture.clock.advance(10 * RESEND_MS - 1000);
  await fixture.dispatch();
  await fixture.dispatch();
  expect(await fixture.batches.queue.countApprox()).toBe(FIRST_FOUR.length);
  fixture.clock.advance(2000);
  await fixture.dispatch();
  await fixture.dispatch();
  expect(await fixture.batches.queue.countApprox()).toBe(2 * FIRST_FOUR.length);
});

test('two producers send a stale batch again only once', async () => {
  await fixture.batches.clear();
  fixture.clock.advance(RESEND_MS + 1000);
  await Promise.all([fixture.dispatch(), fixture.dispatchByOther()]);
  await Promise.all([fixture.dispatch(), fixture.dispatchByOther()]);
  const sent = namesOf(await fixture.takeAll());
  expect(sent).toEqual([...new Set(sent)]);
  expect(sent).toEqual(expect.arrayContaining(FIRST_FOUR));
});
