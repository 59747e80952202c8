import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { MESSAGE_VERSION, type ResultMessage } from '../../../shared/contract/messages.ts';
import { buildDefinition, firstSplit, openSplitJob } from '../../support/build-job.ts';
import { type CollectFixture, startCollectFixture } from '../../support/collect-fixture.ts';
import { countOfMetric } from '../../support/control-plane.ts';
import { runMarker, startStepProducer } from '../../support/step-producer.ts';

let fixture: CollectFixture;
let control: CollectFixture['control'];
let results: CollectFixture['results'];

beforeAll(async () => {
  fixture = await startCollectFixture();
  ({ control, results } = fixture);
});
afterAll(() => fixture[Symbol.asyncDispose]());
beforeEach(() => fixture.reset());

const { epoch: EPOCH } = buildDefinition('job-1');
const failed = (...frames: [number, number][]) => [
  { kind: 'inference' as const, message: 'no output', frames },
];

/** Opens a job that is in its second and last split. */
async function openSplitTwice(jobId: string): Promise<void> {
  await openSplitJob(control.ledger, jobId, { frameCount: 40, batchSize: 10 });
  await control.ledger.splitAgain(firstSplit(jobId), EPOCH);
  const plan = { batchSize: 20, framesExpected: 40, megapixelsPerFrame: 0.5 };
  await control.ledger.planSplit({ jobId, splitNumber: 2 }, plan);
  await control.ledger.finishSplit({ jobId, splitNumber: 2 }, 40);
}

test('a result records its frames and the speed of the model', async () => {
  await openSplitJob(control.ledger, 'job-1', { frameCount: 40, batchSize: 10 });
  await control.ledger.claimBatch(firstSplit('job-1'), 1);
  await fixture.send('job-1', { scored: [[0, 10]], framesRun: 10, megapixels: 5, wallSeconds: 2 });
  await fixture.collect();
  expect(await control.ledger.job('job-1')).toMatchObject({
    state: 'running',
    framesScored: 10,
    batchesOutstanding: 0,
    scoringSinceMs: control.clock.now().getTime(),
  });
  expect(await control.ledger.rate('painter')).toBe(2.5);
  expect(await results.queue.countApprox()).toBe(0);
});

test('the stitch starts once, when every frame is scored or has failed', async () => {
  await openSplitJob(control.ledger, 'job-1', { frameCount: 20, batchSize: 10 });
  await using stitcher = await startStepProducer(fixture.server, { step: 'stitch' });
  await fixture.send('job-1', { scored: [[0, 10]] });
  await fixture.collect();
  await runMarker(stitcher, 'job-marker-1');
  const last = {
    batchIndex: 1,
    scored: [[10, 19]],
    failed: failed([19, 20]),
  } satisfies Partial<ResultMessage>;
  await fixture.send('job-1', last);
  await fixture.collect();
  await fixture.send('job-1', last);
  await fixture.collect();
  await runMarker(stitcher, 'job-marker-2');
  expect(stitcher.runs).toEqual(['job-marker-1', 'job-1', 'job-marker-2']);
  expect(stitcher.jobRuns[1]).toEqual({ ...firstSplit('job-1'), epoch: EPOCH });
});

test('the stitch does not start before the split has finished, even if every frame so far is scored', async () => {
  const { ledger } = control;
  await ledger.open(buildDefinition('job-1'), 1);
  await ledger.move('job-1', 'running');
  const plan = { batchSize: 10, framesExpected: 10, megapixelsPerFrame: 1 };
  await ledger.planSplit(firstSplit('job-1'), plan);
  await ledger.recordSplit(firstSplit('job-1'), 10);
  await using stitcher = await startStepProducer(fixture.server, { step: 'stitch' });
  await fixture.send('job-1', { scored: [[0, 10]] });
  await fixture.collect();
  await runMarker(stitcher);
  expect(stitcher.runs).toEqual(['job-marker']);
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
  await openSplitJob(control.ledger, 'job-1', { frameCount: 40, batchSize: 10 });
  await fixture.send('job-1', { epoch: EPOCH - 1, scored: [[0, 3]], failed: failed([3, 5]) });
  await fixture.collect();
  expect(await control.ledger.job('job-1')).toMatchObject({ framesScored: 3, framesFailed: 0 });
  await fixture.send('job-1', { failed: failed([3, 5]) });
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
  await results.queue.send(Buffer.from('{"version":2,"jobId":"../etc"}').toString('base64'));
  await fixture.send('job-1', { scored: [[0, 10]] });
  await fixture.collect();
  expect(await countOfMetric(control.metrics.messagesRefused)).toBe(2);
  expect((await control.ledger.job('job-1'))?.framesScored).toBe(10);
  expect(await results.queue.countApprox()).toBe(0);
});

test('a result of a newer version stays on the queue', async () => {
  const newer = JSON.stringify({ version: MESSAGE_VERSION + 1, jobId: 'job-1' });
  await results.queue.send(Buffer.from(newer).toString('base64'));
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
      message: '6 of 100 frames could not be scored (inference: no output).',
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

test('a mismatch starts a second split once, with its reason, and the frames of its result count until then', async () => {
  await openSplitJob(control.ledger, 'job-1', { frameCount: 40, batchSize: 10 });
  await using splitter = await startStepProducer(fixture.server);
  await fixture.send('job-1', { scored: [[0, 4]], mismatch: 'a piece holds 9 frames' });
  await fixture.collect();
  await fixture.send('job-1', { batchIndex: 1, mismatch: 'a piece holds no frames' });
  await fixture.collect();
  await runMarker(splitter);
  const again = { jobId: 'job-1', epoch: EPOCH, splitNumber: 2, againBecause: 'a piece holds 9 frames' };
  expect(splitter.jobRuns).toEqual([again, expect.objectContaining({ jobId: 'job-marker' })]);
  expect(await control.ledger.job('job-1')).toMatchObject({
    state: 'running',
    splitNumber: 1,
    framesScored: 4,
  });
});

test('a mismatch of the last split fails the job', async () => {
  await openSplitTwice('job-1');
  await fixture.send('job-1', { splitNumber: 2, mismatch: 'a piece holds 9 frames' });
  await fixture.collect();
  expect(await control.ledger.job('job-1')).toMatchObject({
    state: 'failed',
    error: {
      code: 'MEDIA_TOOL_FAILED',
      message: expect.stringContaining('split twice: a piece holds 9 frames.'),
      hint: expect.stringContaining('ffmpeg'),
    },
  });
});

test('a result of another split is ignored', async () => {
  await openSplitTwice('job-1');
  const before = await control.ledger.job('job-1');
  const late = { mismatch: 'late', delaySeconds: 60, framesRun: 10, megapixels: 5, wallSeconds: 2 };
  await fixture.send('job-1', { ...late, scored: [[0, 10]], failed: failed([10, 20]) });
  await fixture.collect();
  expect(await control.ledger.job('job-1')).toEqual(before);
  expect(await control.ledger.rate('painter')).toBeUndefined();
  expect(await results.queue.countApprox()).toBe(0);
});

test('a mismatch is ignored if every frame is resolved or the job has ended', async () => {
  for (const jobId of ['job-1', 'job-2'])
    await openSplitJob(control.ledger, jobId, { frameCount: 10, batchSize: 10 });
  await control.ledger.move('job-2', 'failed');
  await using splitter = await startStepProducer(fixture.server);
  await fixture.send('job-1', { scored: [[0, 10]] });
  await fixture.collect();
  for (const jobId of ['job-1', 'job-2']) await fixture.send(jobId, { mismatch: 'a piece holds 9 frames' });
  await fixture.collect();
  await runMarker(splitter);
  expect(splitter.runs).toEqual(['job-marker']);
  expect(await control.ledger.job('job-1')).toMatchObject({ state: 'running', splitNumber: 1 });
});
