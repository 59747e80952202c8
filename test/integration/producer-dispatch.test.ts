import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { dispatchPass } from '../../producer/dispatch.ts';
import { type BatchMessage, batchMessage, decodeMessage } from '../../shared/contract/messages.ts';
import { buildDefinition, openSplitJob } from '../support/build-job.ts';
import { type ControlPlane, countOfMetric, startControlPlane } from '../support/control-plane.ts';
import { type TestRedis, type TestStorage, startTestRedis, startTestStorage } from '../support/servers.ts';
import { type TestQueue, openTestQueue } from '../support/test-queue.ts';

const RESEND_MS = 300_000;
/** What dispatch keeps on the queue while no engine is at work. */
const WINDOW = 4;

let storage: TestStorage;
let server: TestRedis;
let control: ControlPlane;
/** Another producer, with the same clock. */
let other: ControlPlane;
let batches: TestQueue;

beforeAll(async () => {
  [storage, server] = await Promise.all([startTestStorage(), startTestRedis()]);
  control = await startControlPlane(server);
  other = { ...(await startControlPlane(server)), clock: control.clock };
});
afterAll(async () => {
  await Promise.all([control, other].map((one) => one[Symbol.asyncDispose]()));
  await Promise.all([storage[Symbol.asyncDispose](), server[Symbol.asyncDispose]()]);
});
beforeEach(async () => {
  await control.redis.flushall();
  batches = await openTestQueue(storage, 'frame-batches');
});

/** Time goes on a little between two looks at the clock. */
function dispatch(by = control): Promise<number> {
  const now = (): Date => {
    control.clock.advance(1);
    return control.clock.now();
  };
  const clock = { now, monotonicMs: () => 0, sleep: () => Promise.resolve() };
  return dispatchPass({ ...by, clock, batches: batches.queue, resendMs: RESEND_MS });
}

/** Takes everything off the queue. */
async function takeAll(): Promise<BatchMessage[]> {
  const taken: BatchMessage[] = [];
  for (;;) {
    const message = await batches.queue.receive({ visibilityTimeoutSeconds: 60 });
    if (message === undefined) return taken;
    const decoded = decodeMessage(message.text, batchMessage);
    if (decoded.kind !== 'valid') throw new Error(`expected a valid batch, found ${decoded.kind}`);
    taken.push(decoded.message);
    await batches.queue.remove(message);
  }
}

async function finish({ jobId, batchIndex, frameStart, frameEnd }: BatchMessage): Promise<void> {
  const nowMs = control.clock.now().getTime();
  await control.ledger.resolve(jobId, { batchIndex, scored: [[frameStart, frameEnd]], failed: [], nowMs });
}

const namesOf = (taken: readonly BatchMessage[]) => taken.map(({ jobId, batchIndex }) => `${jobId}/${batchIndex}`).toSorted();

test('no more than the window is on the queue, and what is finished makes room', async () => {
  await openSplitJob(control.ledger, 'job-1', { frameCount: 95, batchSize: 10 });
  await dispatch();
  await dispatch();
  expect(await batches.queue.countApprox()).toBe(WINDOW);
  const [first, ...rest] = (await takeAll()).toSorted((a, b) => a.batchIndex - b.batchIndex);
  expect([first, ...rest].map((batch) => batch?.batchIndex)).toEqual([0, 1, 2, 3]);
  expect(first).toEqual({
    version: 1,
    jobId: 'job-1',
    batchIndex: 0,
    frameStart: 0,
    frameEnd: 10,
    epoch: buildDefinition('job-1').epoch,
    model: buildDefinition('job-1').model,
    parameters: { style: 'great-wave' },
    frameFormat: 'jpg',
    history: { releases: 0, barren: 0, failures: [], carefulFrame: null },
  });
  if (first !== undefined) await finish(first);
  await dispatch();
  expect(namesOf(await takeAll())).toEqual(['job-1/4']);
});

test('a job goes through the window to its end, each batch once, the last one short', async () => {
  await openSplitJob(control.ledger, 'job-1', { frameCount: 95, batchSize: 10 });
  const taken: BatchMessage[] = [];
  for (let round = 0; round < 10; round += 1) {
    await dispatch();
    const batch = await takeAll();
    for (const one of batch) await finish(one);
    taken.push(...batch);
  }
  expect(taken.map(({ frameStart, frameEnd }) => [frameStart, frameEnd]).toSorted(([a = 0], [b = 0]) => a - b)).toEqual(
    Array.from({ length: 10 }, (_, index) => [index * 10, Math.min(95, index * 10 + 10)]),
  );
});

test('more engines make a wider window', async () => {
  await openSplitJob(control.ledger, 'job-1', { frameCount: 300, batchSize: 10 });
  await control.ledger.recordEngines(6);
  await dispatch();
  expect(await batches.queue.countApprox()).toBe(12);
});

test('batches go out while the split is still running', async () => {
  await control.ledger.open(buildDefinition('job-1'));
  await dispatch();
  await control.ledger.move('job-1', 'running');
  await control.ledger.planSplit('job-1', { batchSize: 10, framesExpected: 40, megapixelsPerFrame: 1 });
  await control.ledger.recordSplit('job-1', 16);
  await dispatch();
  expect(namesOf(await takeAll())).toEqual(['job-1/0']);
});

test('two jobs take turns, and a short one does not wait behind a long one', async () => {
  await openSplitJob(control.ledger, 'job-long', { frameCount: 1000, batchSize: 10 });
  await dispatch();
  const started = await takeAll();
  await openSplitJob(control.ledger, 'job-short', { frameCount: 20, batchSize: 10 });
  for (const batch of started) await finish(batch);
  await dispatch();
  expect(namesOf(await takeAll())).toEqual(['job-long/4', 'job-long/5', 'job-short/0', 'job-short/1']);
});

test('a higher priority goes first, and leaves what it does not need to the others', async () => {
  await openSplitJob(control.ledger, 'job-a', { frameCount: 100, batchSize: 10 });
  await openSplitJob(control.ledger, 'job-b', { frameCount: 30, batchSize: 10, priority: 'high' });
  await dispatch();
  expect(namesOf(await takeAll())).toEqual(['job-a/0', 'job-b/0', 'job-b/1', 'job-b/2']);
});

test('a batch whose message vanished is sent again, but not before its time', async () => {
  await openSplitJob(control.ledger, 'job-1', { frameCount: 100, batchSize: 10 });
  await dispatch();
  await batches.clear();
  control.clock.advance(RESEND_MS - 1000);
  const resentBefore = await countOfMetric(control.metrics.batchesResent);
  await dispatch();
  expect(await batches.queue.countApprox()).toBe(0);
  control.clock.advance(1000);
  await dispatch();
  await dispatch();
  expect(namesOf(await takeAll())).toEqual(['job-1/0', 'job-1/1', 'job-1/2', 'job-1/3']);
  expect((await countOfMetric(control.metrics.batchesResent)) - resentBefore).toBe(WINDOW);
});

test('a batch that gets on is not sent again', async () => {
  await openSplitJob(control.ledger, 'job-1', { frameCount: 100, batchSize: 10 });
  await dispatch();
  await takeAll();
  control.clock.advance(RESEND_MS - 1000);
  const nowMs = control.clock.now().getTime();
  await control.ledger.resolve('job-1', { batchIndex: 2, scored: [[20, 21]], failed: [], nowMs });
  control.clock.advance(2000);
  await dispatch();
  await dispatch();
  expect(namesOf(await takeAll())).toEqual(['job-1/0', 'job-1/1', 'job-1/3']);
});

test('two producers that dispatch at once send no batch twice', async () => {
  await openSplitJob(control.ledger, 'job-1', { frameCount: 300, batchSize: 10 });
  await control.ledger.recordEngines(10);
  await Promise.all([dispatch(control), dispatch(other), dispatch(other)]);
  const sent = namesOf(await takeAll());
  expect(sent.length).toBeGreaterThanOrEqual(20);
  expect(new Set(sent).size).toBe(sent.length);
});

test('an ended job sends nothing more', async () => {
  await openSplitJob(control.ledger, 'job-1', { frameCount: 100, batchSize: 10 });
  await control.ledger.move('job-1', 'failed');
  await dispatch();
  expect(await batches.queue.countApprox()).toBe(0);
});
