import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';

import { Collector } from '../../../producer/jobs/collect.ts';
import { type ResultMessage, encodeMessage } from '../../../shared/contract/messages.ts';
import { buildResult, openSplitJob } from '../../support/build-job.ts';
import {
  type ControlPlane,
  countOfMetric,
  passUntilRest,
  startControlPlane,
} from '../../support/control-plane.ts';
import { eventually } from '../../support/eventually.ts';
import { type TestRedis, type TestStorage, startTestRedis, startTestStorage } from '../../support/servers.ts';
import { startStepProducer } from '../../support/step-producer.ts';
import { type TestQueue, openTestQueue } from '../../support/test-queue.ts';

let storage: TestStorage;
let server: TestRedis;
let control: ControlPlane;
let results: TestQueue;

beforeAll(async () => {
  [storage, server] = await Promise.all([startTestStorage(), startTestRedis()]);
});
afterAll(() => Promise.all([storage[Symbol.asyncDispose](), server[Symbol.asyncDispose]()]));
/** Each test has its own metrics, which start at 0. */
beforeEach(async () => {
  control = await startControlPlane(server);
  await control.redis.flushall();
  results = await openTestQueue(storage, 'batch-results');
});
afterEach(() => control[Symbol.asyncDispose]());

const send = (jobId: string, changes: Partial<ResultMessage>) =>
  results.queue.send(encodeMessage(buildResult(jobId, changes)));
const failed = (...frames: [number, number][]) => [
  { kind: 'undecodable' as const, message: 'no picture', frames },
];

async function collect(): Promise<void> {
  const collector = new Collector({ ...control, results: results.queue });
  await passUntilRest(() => collector.pass());
}

test('a result records its frames, starts the stitch and records the speed of the model', async () => {
  await openSplitJob(control.ledger, 'job-1', { frameCount: 40, batchSize: 10 });
  await control.ledger.claimBatch('job-1', 1);
  await using stitcher = await startStepProducer(server, { step: 'stitch' });
  await send('job-1', { scored: [[0, 10]], framesRun: 10, megapixels: 5, wallSeconds: 2 });
  await collect();
  expect(await control.ledger.job('job-1')).toMatchObject({
    state: 'running',
    framesScored: 10,
    batchesOutstanding: 0,
    scoringSinceMs: control.clock.now().getTime(),
  });
  expect(await control.ledger.rate('painter')).toBe(2.5);
  await eventually('the stitch runs', () => stitcher.runs.includes('job-1'));
  expect(await results.queue.countApprox()).toBe(0);
});

test('a duplicate or late result changes nothing', async () => {
  await openSplitJob(control.ledger, 'job-1', { frameCount: 40, batchSize: 10 });
  const result = { scored: [[0, 8]], failed: failed([8, 9]) } satisfies Partial<ResultMessage>;
  await send('job-1', result);
  await collect();
  const once = await control.ledger.job('job-1');
  const counts = await Promise.all(
    [control.metrics.framesScored, control.metrics.framesFailed].map(countOfMetric),
  );
  expect(counts).toEqual([8, 1]);
  await send('job-1', result);
  await send('job-1', { ...result, epoch: 1, worker: 'vm-late' });
  await Promise.all([collect(), collect()]);
  expect(await control.ledger.job('job-1')).toEqual(once);
  expect(
    await Promise.all([control.metrics.framesScored, control.metrics.framesFailed].map(countOfMetric)),
  ).toEqual(counts);
  expect(await results.queue.countApprox()).toBe(0);
});

test('a result from an earlier epoch counts its scored frames but not its failed frames', async () => {
  const epoch = Date.parse('2026-11-23T06:15:02.000Z');
  await openSplitJob(control.ledger, 'job-1', { frameCount: 40, batchSize: 10 });
  await send('job-1', { epoch: epoch - 1, scored: [[0, 3]], failed: failed([3, 5]) });
  await collect();
  expect(await control.ledger.job('job-1')).toMatchObject({ framesScored: 3, framesFailed: 0 });
  await send('job-1', { epoch, failed: failed([3, 5]) });
  await collect();
  expect(await control.ledger.job('job-1')).toMatchObject({ framesScored: 3, framesFailed: 2 });
});

test('a result whose frames were all scored already records no speed', async () => {
  await openSplitJob(control.ledger, 'job-1', { frameCount: 40, batchSize: 10 });
  await send('job-1', { scored: [[0, 10]], framesRun: 0, wallSeconds: 0.1 });
  await collect();
  expect(await control.ledger.rate('painter')).toBeUndefined();
});

test('a malformed result is removed and counted, and the next result is recorded', async () => {
  await openSplitJob(control.ledger, 'job-1', { frameCount: 40, batchSize: 10 });
  await results.queue.send('not a result');
  await results.queue.send(Buffer.from('{"version":1,"jobId":"../etc"}').toString('base64'));
  await send('job-1', { scored: [[0, 10]] });
  await collect();
  expect(await countOfMetric(control.metrics.messagesRefused)).toBe(2);
  expect((await control.ledger.job('job-1'))?.framesScored).toBe(10);
  expect(await results.queue.countApprox()).toBe(0);
});

test('a result of a newer version stays on the queue', async () => {
  await results.queue.send(Buffer.from(JSON.stringify({ version: 2, jobId: 'job-1' })).toString('base64'));
  await collect();
  expect(await results.queue.countApprox()).toBe(1);
  expect(await results.queue.receive({ visibilityTimeoutSeconds: 1 })).toBeUndefined();
  expect(await countOfMetric(control.metrics.messagesRefused)).toBe(0);
});

test('a result of an unknown job is removed and does not open the job', async () => {
  await send('job-unknown', { scored: [[0, 10]] });
  await collect();
  expect(await results.queue.countApprox()).toBe(0);
  expect(await control.redis.keys('framefleet:*')).toEqual([]);
});

test('a job tolerates a few failed frames and fails with the reason at one more', async () => {
  await openSplitJob(control.ledger, 'job-1', { frameCount: 100, batchSize: 10 });
  await send('job-1', { failed: failed([0, 3], [5, 7]) });
  await collect();
  expect(await control.ledger.job('job-1')).toMatchObject({ state: 'running', framesFailed: 5 });
  await send('job-1', { batchIndex: 9, failed: failed([99, 100]) });
  await collect();
  expect(await control.ledger.job('job-1')).toMatchObject({
    state: 'failed',
    error: {
      code: 'TOO_MANY_FAILED_FRAMES',
      message: '6 of 100 frames could not be scored (undecodable: no picture).',
      hint: expect.stringContaining('.failed.json'),
    },
  });
});

test('a job that tolerates no failed frames fails with the first one', async () => {
  await openSplitJob(control.ledger, 'job-1', { frameCount: 100, batchSize: 10, onFailedFrame: 'fail' });
  await send('job-1', { scored: [[0, 9]] });
  await collect();
  expect((await control.ledger.job('job-1'))?.state).toBe('running');
  await send('job-1', { failed: failed([9, 10]) });
  await collect();
  expect(await control.ledger.job('job-1')).toMatchObject({
    state: 'failed',
    error: { code: 'TOO_MANY_FAILED_FRAMES' },
  });
});

test('a failed frame that is scored later does not count as failed', async () => {
  await openSplitJob(control.ledger, 'job-1', { frameCount: 100, batchSize: 10 });
  for (const batchIndex of [0, 1]) {
    const start = batchIndex * 10;
    await send('job-1', { batchIndex, failed: failed([start, start + 4]) });
    await collect();
    await send('job-1', { batchIndex, scored: [[start, start + 4]] });
    await collect();
  }
  expect(await control.ledger.job('job-1')).toMatchObject({
    state: 'running',
    framesScored: 8,
    framesFailed: 0,
  });
});

test('a result of a failed job does not reopen it', async () => {
  await openSplitJob(control.ledger, 'job-1', { frameCount: 40, batchSize: 10 });
  const error = { code: 'SOURCE_TRUNCATED', message: 'cut off', hint: null };
  await control.ledger.move('job-1', 'failed', { error });
  await send('job-1', { failed: failed([0, 10]) });
  await collect();
  expect(await control.ledger.job('job-1')).toMatchObject({ state: 'failed', error });
});
