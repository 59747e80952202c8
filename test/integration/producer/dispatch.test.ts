/** Which batches are sent, and in which order. `resend.test.ts` covers stale batches. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { DEFAULT_ENCODING } from '../../../shared/contract/encoding.ts';
import { type BatchMessage, MESSAGE_VERSION, NEW_BATCH_HISTORY } from '../../../shared/contract/messages.ts';
import { buildDefinition, firstSplit, openSplitJob } from '../../support/build-job.ts';
import { BUILT_PLAN } from '../../support/build-plan.ts';
import {
  type DispatchFixture,
  RESEND_MS,
  namesOf,
  startDispatchFixture,
} from '../../support/dispatch-fixture.ts';

/** The window of dispatch without engines. */
const WINDOW = 4;

let fixture: DispatchFixture;

beforeAll(async () => {
  fixture = await startDispatchFixture();
});
afterAll(() => fixture[Symbol.asyncDispose]());
beforeEach(() => fixture.reset());

test('dispatch fills the window and sends more as batches finish', async () => {
  await openSplitJob(fixture.ledger, 'job-1', { frameCount: 95, batchSize: 10 });
  await fixture.dispatch();
  await fixture.dispatch();
  expect(await fixture.batches.queue.countApprox()).toBe(WINDOW);
  const taken = await fixture.takeAll();
  expect(namesOf(taken)).toEqual(['job-1/0', 'job-1/1', 'job-1/2', 'job-1/3']);
  await fixture.dispatch();
  expect(await fixture.batches.queue.countApprox()).toBe(0);
  for (const batch of taken.slice(2)) await fixture.finish(batch);
  await fixture.dispatch();
  expect(namesOf(await fixture.takeAll())).toEqual(['job-1/4', 'job-1/5']);
});

test('a batch message has all fields that a worker needs and an empty history', async () => {
  await openSplitJob(fixture.ledger, 'job-1', { frameCount: 10, batchSize: 10 });
  await fixture.dispatch();
  const { epoch, model } = buildDefinition('job-1');
  expect(await fixture.takeAll()).toEqual([
    {
      version: MESSAGE_VERSION,
      jobId: 'job-1',
      batchIndex: 0,
      frameStart: 0,
      frameEnd: 10,
      epoch,
      model,
      parameters: { style: 'great-wave' },
      splitNumber: 1,
      pieces: [[0, 64]],
      pieceFormat: BUILT_PLAN.pieceFormat,
      segmentFrames: BUILT_PLAN.segmentFrames,
      picture: BUILT_PLAN.picture,
      encoding: DEFAULT_ENCODING,
      onFailedFrame: 'keep-original',
      frameImages: null,
      history: NEW_BATCH_HISTORY,
    },
  ]);
});

test('a batch of a model with a state also names the pieces of the frames before it', async () => {
  await fixture.ledger.open(buildDefinition('job-1'), 1);
  await fixture.ledger.move('job-1', 'running');
  const run = firstSplit('job-1');
  await fixture.ledger.planSplit(run, { batchSize: 10, framesExpected: 25, megapixelsPerFrame: 1 });
  await fixture.ledger.finishSplit(run, 25);
  const pieces = { kind: 'cut', starts: [0, 7, 10, 18], frameCount: 25 } as const;
  await fixture.dispatch({ of: () => Promise.resolve({ ...BUILT_PLAN, pieces, contextFrames: 4 }) });
  const taken = await fixture.takeAll();
  expect(taken.map((batch) => [batch.contextFrames, batch.pieces[0]])).toEqual([
    [4, [0, 7]],
    [4, [0, 7]],
    [4, [10, 18]],
  ]);
});

test('a batch names the pieces that hold its frames, of the split that its job is in', async () => {
  const second = { jobId: 'job-1', splitNumber: 2 };
  await fixture.ledger.open(buildDefinition('job-1'), 2);
  await fixture.ledger.move('job-1', 'running');
  await fixture.ledger.planSplit(second, { batchSize: 10, framesExpected: 25, megapixelsPerFrame: 1 });
  await fixture.ledger.finishSplit(second, 25);
  const pieces = { kind: 'cut', starts: [0, 7, 10, 18], frameCount: 25 } as const;
  const asked: unknown[] = [];
  await fixture.dispatch({
    of: (split, epoch) => {
      asked.push({ jobId: split.jobId, splitNumber: split.splitNumber, epoch });
      return Promise.resolve({ ...BUILT_PLAN, pieces });
    },
  });
  const taken = await fixture.takeAll();
  expect(taken.map((batch) => [batch.splitNumber, batch.pieces])).toEqual([
    [
      2,
      [
        [0, 7],
        [7, 10],
      ],
    ],
    [
      2,
      [
        [10, 18],
        [18, 25],
      ],
    ],
    [2, [[18, 25]]],
  ]);
  const { epoch } = buildDefinition('job-1');
  expect(asked).toEqual(taken.map(() => ({ ...second, epoch })));
});

test('a job whose plan cannot be read does not block others, and its batch is sent again later', async () => {
  for (const jobId of ['job-1', 'job-2'])
    await openSplitJob(fixture.ledger, jobId, { frameCount: 10, batchSize: 10 });
  await fixture.dispatch({
    of: ({ jobId }) =>
      jobId === 'job-1' ? Promise.reject(new Error('no plan')) : Promise.resolve(BUILT_PLAN),
  });
  expect(namesOf(await fixture.takeAll())).toEqual(['job-2/0']);
  fixture.clock.advance(RESEND_MS + 1000);
  await fixture.dispatch();
  await fixture.dispatch();
  expect(namesOf(await fixture.takeAll())).toContain('job-1/0');
});

test('a job sends every batch once, the last one with fewer frames', async () => {
  await openSplitJob(fixture.ledger, 'job-1', { frameCount: 95, batchSize: 10 });
  const taken: BatchMessage[] = [];
  for (let round = 0; round < 10; round += 1) {
    await fixture.dispatch();
    const batches = await fixture.takeAll();
    for (const batch of batches) await fixture.finish(batch);
    taken.push(...batches);
  }
  expect(taken.map(({ frameStart, frameEnd }) => [frameStart, frameEnd])).toEqual(
    Array.from({ length: 10 }, (_, index) => [index * 10, Math.min(95, index * 10 + 10)]),
  );
});

test('the window grows with the number of engines', async () => {
  await openSplitJob(fixture.ledger, 'job-1', { frameCount: 300, batchSize: 10 });
  await fixture.ledger.recordEngines(6);
  await fixture.dispatch();
  expect(await fixture.batches.queue.countApprox()).toBe(12);
});

test('batches are sent while the split is running', async () => {
  await fixture.ledger.open(buildDefinition('job-1'), 1);
  await fixture.dispatch();
  await fixture.ledger.move('job-1', 'running');
  await fixture.ledger.planSplit(firstSplit('job-1'), {
    batchSize: 10,
    framesExpected: 40,
    megapixelsPerFrame: 1,
  });
  await fixture.ledger.recordSplit(firstSplit('job-1'), 16);
  await fixture.dispatch();
  expect(namesOf(await fixture.takeAll())).toEqual(['job-1/0']);
});

test('two jobs take turns', async () => {
  await openSplitJob(fixture.ledger, 'job-a', { frameCount: 100, batchSize: 10 });
  await openSplitJob(fixture.ledger, 'job-b', { frameCount: 100, batchSize: 10 });
  await fixture.dispatch();
  expect(namesOf(await fixture.takeAll())).toEqual(['job-a/0', 'job-a/1', 'job-b/0', 'job-b/1']);
});

test('a short job does not wait behind a long one', async () => {
  await openSplitJob(fixture.ledger, 'job-long', { frameCount: 1000, batchSize: 10 });
  await fixture.dispatch();
  const started = await fixture.takeAll();
  await openSplitJob(fixture.ledger, 'job-short', { frameCount: 20, batchSize: 10 });
  for (const batch of started) await fixture.finish(batch);
  await fixture.dispatch();
  expect(namesOf(await fixture.takeAll())).toEqual([
    'job-long/4',
    'job-long/5',
    'job-short/0',
    'job-short/1',
  ]);
});

test('a job of higher priority goes first and leaves the rest of the window to others', async () => {
  await openSplitJob(fixture.ledger, 'job-a', { frameCount: 100, batchSize: 10 });
  await openSplitJob(fixture.ledger, 'job-b', { frameCount: 30, batchSize: 10, priority: 'high' });
  await fixture.dispatch();
  expect(namesOf(await fixture.takeAll())).toEqual(['job-a/0', 'job-b/0', 'job-b/1', 'job-b/2']);
});

test('a priority that was changed since counts, not that of the request', async () => {
  await openSplitJob(fixture.ledger, 'job-a', { frameCount: 100, batchSize: 10, priority: 'high' });
  await openSplitJob(fixture.ledger, 'job-b', { frameCount: 30, batchSize: 10 });
  await fixture.ledger.setControl('job-a', { priority: 'low' });
  await fixture.dispatch();
  expect(namesOf(await fixture.takeAll())).toEqual(['job-a/0', 'job-b/0', 'job-b/1', 'job-b/2']);
});

test('a paused job sends no batches, and all that are not done once it goes on', async () => {
  await openSplitJob(fixture.ledger, 'job-1', { frameCount: 20, batchSize: 10 });
  await fixture.dispatch();
  const [first] = await fixture.takeAll();
  if (first === undefined) throw new Error('expected a batch');
  await fixture.finish(first);
  await fixture.ledger.setControl('job-1', { pausedAtMs: 1, pauses: 1 });
  await fixture.ledger.requeueStale('job-1', Infinity);
  await fixture.dispatch();
  expect(await fixture.batches.queue.countApprox()).toBe(0);
  await fixture.ledger.setControl('job-1', { pausedAtMs: 0 });
  await fixture.dispatch();
  expect(namesOf(await fixture.takeAll())).toEqual(['job-1/1']);
});

test('two producers that dispatch at the same time send no batch twice', async () => {
  await openSplitJob(fixture.ledger, 'job-1', { frameCount: 300, batchSize: 10 });
  await fixture.ledger.recordEngines(10);
  await Promise.all([fixture.dispatch(), fixture.dispatchByOther(), fixture.dispatchByOther()]);
  const sent = namesOf(await fixture.takeAll());
  expect(sent.length).toBeGreaterThanOrEqual(20);
  expect(new Set(sent).size).toBe(sent.length);
});

test('an ended job sends no batches', async () => {
  await openSplitJob(fixture.ledger, 'job-1', { frameCount: 100, batchSize: 10 });
  await fixture.ledger.move('job-1', 'failed');
  await fixture.dispatch();
  expect(await fixture.batches.queue.countApprox()).toBe(0);
});

test('a batch that was released with a delay does not count toward the window until it is visible', async () => {
  const { ledger, clock } = fixture;
  await openSplitJob(ledger, 'job-1', { frameCount: 500, batchSize: 10 });
  await fixture.dispatch();
  expect(namesOf(await fixture.takeAll())).toHaveLength(WINDOW);
  const nowMs = clock.now().getTime();
  for (let batchIndex = 0; batchIndex < WINDOW; batchIndex += 1)
    await ledger.delay('job-1', batchIndex, { nowMs, untilMs: nowMs + 60_000 });
  await openSplitJob(ledger, 'job-2', { frameCount: 40, batchSize: 10 });
  await fixture.dispatch();
  const sent = namesOf(await fixture.takeAll());
  expect(sent).toHaveLength(WINDOW);
  expect(sent.filter((name) => name.startsWith('job-2/'))).toHaveLength(WINDOW / 2);
  // The delayed batches are visible and count again.
  clock.advance(120_000);
  await fixture.dispatch();
  expect(namesOf(await fixture.takeAll())).toEqual([]);
});

test('a job whose batches are all delayed sends at most four windows', async () => {
  const { ledger, clock } = fixture;
  await openSplitJob(ledger, 'job-1', { frameCount: 5_000, batchSize: 10 });
  let sent = 0;
  for (let pass = 0; pass < 20; pass += 1) {
    await fixture.dispatch();
    for (const { batchIndex } of await fixture.takeAll()) {
      const nowMs = clock.now().getTime();
      await ledger.delay('job-1', batchIndex, { nowMs, untilMs: nowMs + 60_000 });
      sent += 1;
    }
  }
  expect(sent).toBe(4 * WINDOW);
  await openSplitJob(ledger, 'job-2', { frameCount: 40, batchSize: 10 });
  await fixture.dispatch();
  expect(namesOf(await fixture.takeAll())).toEqual(['job-2/0', 'job-2/1', 'job-2/2', 'job-2/3']);
});
