import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import type { ResultMessage } from '../../../shared/contract/messages.ts';
import { openSplitJob } from '../../support/build-job.ts';
import { type CollectFixture, startCollectFixture } from '../../support/collect-fixture.ts';
import { countOfMetric } from '../../support/control-plane.ts';
import { eventually } from '../../support/eventually.ts';
import { startStepProducer } from '../../support/step-producer.ts';

let fixture: CollectFixture;
let control: CollectFixture['control'];
let results: CollectFixture['results'];

beforeAll(async () => {
  fixture = await startCollectFixture();
  ({ control, results } = fixture);
});
afterAll(() => fixture[Symbol.asyncDispose]());
beforeEach(() => fixture.reset());

const failed = (...frames: [number, number][]) => [
  { kind: 'undecodable' as const, message: 'no picture', frames },
];

test('a result records its frames, starts the stitch and records the speed of the model', async () => {
  await openSplitJob(control.ledger, 'job-1', { frameCount: 40, batchSize: 10 });
  await control.ledger.claimBatch('job-1', 1);
  await using stitcher = await startStepProducer(fixture.server, { step: 'stitch' });
  await fixture.send('job-1', { scored: [[0, 10]], framesRun: 10, megapixels: 5, wallSeconds: 2 });
  await fixture.collect();
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
  await fixture.send('job-1', result);
  await fixture.collect();
  const once = await control.ledger.job('job-1');
  const counts = await Promise.all(
    [control.metrics.framesScored, control.metrics.framesFailed].map(countOfMetric),
  );
  expect(counts).toEqual([8, 1]);
  await fixture.send('job-1', result);
  await fixture.send('job-1', { ...result, epoch: 1, worker: 'vm-late' });
  await Promise.all([fixture.collect(), fixture.collect()]);
  expect(await control.ledger.job('job-1')).toEqual(once);
  expect(
    await Promise.all([control.metrics.framesScored, control.metrics.framesFailed].map(countOfMetric)),
  ).toEqual(counts);
  expect(await results.queue.countApprox()).toBe(0);
});

test('a result from an earlier epoch counts its scored frames but not its failed frames', async () => {
  const epoch = Date.parse('2026-11-23T06:15:02.000Z');
  await openSplitJob(control.ledger, 'job-1', { frameCount: 40, batchSize: 10 });
  await fixture.send('job-1', { epoch: epoch - 1, scored: [[0, 3]], failed: failed([3, 5]) });
  await fixture.collect();
  expect(await control.ledger.job('job-1')).toMatchObject({ framesScored: 3, framesFailed: 0 });
  await fixture.send('job-1', { epoch, failed: failed([3, 5]) });
  await fixture.collect();
  expect(await control.ledger.job('job-1')).toMatchObject({ framesScored: 3, framesFailed: 2 });
});

test('a result whose frames were all scored already records no speed', async () => {
  await openSplitJob(control.ledger, 'job-1', { frameCount: 40, batchSize: 10 });
  await fixture.send('job-1', { scored: [[0, 10]], framesRun: 0, wallSeconds: 0.1 });
  await fixture.collect();
  expect(await control.ledger.rate('painter')).toBeUndefined();
});

test('a malformed result is removed and counted, and the next result is recorded', async () => {
  await openSplitJob(control.ledger, 'job-1', { frameCount: 40, batchSize: 10 });
  await results.queue.send('not a result');
  await results.queue.send(Buffer.from('{"version":1,"jobId":"../etc"}').toString('base64'));
  await fixture.send('job-1', { scored: [[0, 10]] });
  await fixture.collect();
  expect(await countOfMetric(control.metrics.messagesRefused)).toBe(2);
  expect((await control.ledger.job('job-1'))?.framesScored).toBe(10);
  expect(await results.queue.countApprox()).toBe(0);
});

test('a result of a newer version stays on the queue', async () => {
  await results.queue.send(Buffer.from(JSON.stringify({ version: 2, jobId: 'job-1' })).toString('base64'));
  await fixture.collect();
  expect(await results.queue.countApprox()).toBe(1);
  expect(await results.queue.receive({ visibilityTimeoutSeconds: 1 })).toBeUndefined();
  expect(await countOfMetric(control.metrics.messagesRefused)).toBe(0);
});

test('a result of an unknown job is removed and does not open the job', async () => {
  await fixture.send('job-unknown', { scored: [[0, 10]] });
  await fixture.collect();
  expect(await results.queue.countApprox()).toBe(0);
  expect(await control.redis.keys('framefleet:*')).toEqual([]);
});

test('a job tolerates a few failed frames and fails with the reason at one more', async () => {
  await openSplitJob(control.ledger, 'job-1', { frameCount: 100, batchSize: 10 });
  await fixture.send('job-1', { failed: failed([0, 3], [5, 7]) });
  await fixture.collect();
  expect(await control.ledger.job('job-1')).toMatchObject({ state: 'running', framesFailed: 5 });
  await fixture.send('job-1', { batchIndex: 9, failed: failed([99, 100]) });
  await fixture.collect();
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
  await fixture.send('job-1', { scored: [[0, 9]] });
  await fixture.collect();
  expect((await control.ledger.job('job-1'))?.state).toBe('running');
  await fixture.send('job-1', { failed: failed([9, 10]) });
  await fixture.collect();
  expect(await control.ledger.job('job-1')).toMatchObject({
    state: 'failed',
    error: { code: 'TOO_MANY_FAILED_FRAMES' },
  });
});

test('a failed frame that is scored later does not count as failed', async () => {
  await openSplitJob(control.ledger, 'job-1', { frameCount: 100, batchSize: 10 });
  for (const batchIndex of [0, 1]) {
    const start = batchIndex * 10;
    await fixture.send('job-1', { batchIndex, failed: failed([start, start + 4]) });
    await fixture.collect();
    await fixture.send('job-1', { batchIndex, scored: [[start, start + 4]] });
    await fixture.collect();
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
  await fixture.send('job-1', { failed: failed([0, 10]) });
  await fixture.collect();
  expect(await control.ledger.job('job-1')).toMatchObject({ state: 'failed', error });
});
