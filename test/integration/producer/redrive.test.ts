/** A redrive retries failed frames of an ended job exactly once, survives crashes, and leaves the rest of the job unchanged. */
import { rm } from 'node:fs/promises';

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { failJob } from '../../../producer/jobs/fail-job.ts';
import { JobFolders } from '../../../producer/jobs/job-folders.ts';
import { redrivePass } from '../../../producer/jobs/redrive.ts';
import { putSourcePlan } from '../../../producer/jobs/source-plans.ts';
import { split } from '../../../producer/jobs/split.ts';
import { stitch } from '../../../producer/jobs/stitch.ts';
import {
  controlBlob,
  failedFrameBlob,
  redriveBlob,
  segmentBlob,
  triggerBlob,
} from '../../../shared/contract/blob-names.ts';
import { encodeJobControl } from '../../../shared/contract/job-control.ts';
import { segmentMetadata } from '../../../shared/contract/segment.ts';
import { jobKey } from '../../../shared/redis/ledger-scripts.ts';
import { firstSplit } from '../../support/build-job.ts';
import { BUILT_PLAN } from '../../support/build-plan.ts';
import { countOfMetric, startControlPlane } from '../../support/control-plane.ts';
import { eventually } from '../../support/eventually.ts';
import { KilledAfter } from '../../support/killed-after.ts';
import { FRAMES, type RedriveFixture, startRedriveFixture } from '../../support/redrive-fixture.ts';
import { testFolder } from '../../support/servers.ts';
import { startStepProducer } from '../../support/step-producer.ts';
import { publishModel, uploadJob } from '../../support/upload-job.ts';

let fixture: RedriveFixture;

beforeAll(async () => {
  fixture = await startRedriveFixture();
});
afterAll(() => fixture[Symbol.asyncDispose]());
beforeEach(() => fixture.reset());

test('a completed job is reopened to retry the segment of the requested frame, and its other segments are unchanged', async () => {
  const { control, server } = fixture;
  const before = await fixture.endedJob('job-one', { failing: [3, 7] });
  await control.retention.schedule({ jobId: 'job-one', dueAtMs: 1 });
  const redrivesBefore = await countOfMetric(control.metrics.redrives);
  await control.redis.hset(jobKey('job-one', 'times'), 'inferSeconds', '12.5');
  await fixture.putPoison('job-one', 3);
  await fixture.putPoison('job-one', 7);
  await fixture.request('job-one', [3, 4]);
  await fixture.pass();

  const after = await fixture.mustJob('job-one');
  expect(after).toMatchObject({ state: 'waiting', framesScored: 4, framesFailed: 1 });
  expect(after.definition.epoch).toBeGreaterThan(before.definition.epoch);
  expect(await control.ledger.failures('job-one')).toMatchObject([{ frameIndex: 7, message: 'no output' }]);
  expect(await fixture.storedOf('job-one')).toEqual([
    'job-one/1/00000005-00000009.mp4',
    'job-one/1/00000007.failed.json',
  ]);
  expect(await fixture.statusOf('job-one')).toMatchObject({
    state: 'waiting',
    result: { blobName: 'job-one/harbour.mp4' },
  });
  expect(await fixture.requests()).toEqual([]);
  expect(await fixture.poisonIds()).toEqual(['job-one-7']);
  // Its machines have worked before, but its time begins again.
  expect(await control.times.read('job-one')).toMatchObject({
    inferSeconds: 12.5,
    reopenedAtMs: after.definition.epoch,
  });
  expect(await control.retention.dueAtMs('job-one')).toBeUndefined();
  expect((await countOfMetric(control.metrics.redrives)) - redrivesBefore).toBe(1);
  await using splitter = await startStepProducer(server);
  await eventually('it is split again', () => splitter.runs.filter((id) => id === 'job-one').length === 2);
});

test('a retry that is cancelled, before or after it is open, leaves the result of the run before', async () => {
  const { blobs, control } = fixture;
  const error = { code: 'JOB_CANCELLED', message: 'cancelled', hint: null };
  const cancelled = { state: 'cancelled', error: { code: error.code } };
  await fixture.endedJob('job-kept-late', { failing: [3] });
  await fixture.request('job-kept-late', [3, 4]);
  await fixture.pass();
  await control.ledger.move('job-kept-late', 'cancelled', { error });
  await fixture.publish();
  expect(await fixture.statusOf('job-kept-late')).toMatchObject({
    ...cancelled,
    result: { blobName: 'job-kept-late/harbour.mp4' },
  });

  await fixture.endedJob('job-kept-early', { failing: [3] });
  await fixture.request('job-kept-early', [3, 4]);
  const order = {
    version: 1,
    jobId: 'job-kept-early',
    order: 'cancel',
    pauses: 0,
    setAt: new Date(0).toISOString(),
  } as const;
  await blobs.put('control', controlBlob('job-kept-early'), encodeJobControl(order));
  await fixture.pass();
  expect(await fixture.statusOf('job-kept-early')).toMatchObject({
    ...cancelled,
    frames: { expected: FRAMES, scored: 9, failed: 1 },
    result: { blobName: 'job-kept-early/harbour.mp4' },
  });
});

test('only the batch of the requested frame is dispatched again', async () => {
  const { ledger } = fixture.control;
  await fixture.endedJob('job-batch', { failing: [3, 7] });
  await fixture.request('job-batch', [7, 8]);
  await fixture.pass();
  await ledger.move('job-batch', 'running');
  const jobSplit = firstSplit('job-batch');
  await ledger.planSplit(jobSplit, { batchSize: 5, framesExpected: FRAMES, megapixelsPerFrame: 1 });
  await ledger.finishSplit(jobSplit, FRAMES);
  expect(await ledger.claimBatch(jobSplit, 1)).toEqual({ batchIndex: 1, frameStart: 5, frameEnd: 10 });
  expect(await ledger.claimBatch(jobSplit, 1)).toBeUndefined();
});

test('a failed job is reopened, and frames that were not requested stay failed', async () => {
  const job = { failing: [2, 3, 4], as: 'failed', onFailedFrame: 'fail' } as const;
  await fixture.endedJob('job-failed', job);
  await fixture.request('job-failed', [2, 4]);
  await fixture.pass();
  expect(await fixture.mustJob('job-failed')).toMatchObject({ state: 'waiting', framesScored: 5 });
  // The record tells the worker that runs the segment again.
  expect(await fixture.storedOf('job-failed')).toEqual([
    'job-failed/1/00000004.failed.json',
    'job-failed/1/00000005-00000009.mp4',
  ]);
  expect(await fixture.statusOf('job-failed')).toMatchObject({ state: 'waiting', error: null });
  await fixture.finish('job-failed', { failing: [4], as: 'completed' });
  expect(await fixture.statusOf('job-failed')).toMatchObject({ state: 'completed', frames: { scored: 9 } });
});

test('a failed job without a failed frame is reopened with all its frames, so that its stitch runs again', async () => {
  await fixture.endedJob('job-stitch', { failing: [], as: 'failed' });
  await fixture.request('job-stitch');
  await fixture.pass();
  expect(await fixture.mustJob('job-stitch')).toMatchObject({ state: 'waiting', framesScored: FRAMES });
  expect(await fixture.requests()).toEqual([]);
});

test('several requests for a job are carried out together', async () => {
  await fixture.endedJob('job-several', { failing: [0, 2, 4] });
  await fixture.request('job-several', [0, 1]);
  await fixture.request('job-several', [2, 3], [4, 5]);
  await fixture.pass();
  expect(await fixture.mustJob('job-several')).toMatchObject({ framesScored: 5, framesFailed: 0 });
  expect(await fixture.storedOf('job-several')).toEqual(['job-several/1/00000005-00000009.mp4']);
  expect(await fixture.requests()).toEqual([]);
});

test('the frames of the last split are retried', async () => {
  const { blobs } = fixture;
  await fixture.endedJob('job-split-twice', { failing: [3] });
  const before = await fixture.storedOf('job-split-twice');
  const second = { jobId: 'job-split-twice', splitNumber: 2 };
  await putSourcePlan(blobs, second, BUILT_PLAN);
  await blobs.put('scored', failedFrameBlob(second, 3), 'a record');
  const metadata = segmentMetadata([3], { width: 64, height: 48 });
  await blobs.put('scored', segmentBlob(second, [0, 4]), 'a segment', { metadata });
  await blobs.put('scored', segmentBlob(second, [4, 10]), 'a segment');
  await fixture.request('job-split-twice', [3, 4]);
  await fixture.pass();
  expect(await fixture.mustJob('job-split-twice')).toMatchObject({ splitNumber: 2, framesScored: 6 });
  expect(await fixture.storedOf('job-split-twice')).toEqual([...before, segmentBlob(second, [4, 10])]);
});

test('a second request for the same frame waits until the job ends and is then removed', async () => {
  await fixture.endedJob('job-twice', { failing: [3] });
  await fixture.request('job-twice', [3, 4]);
  await fixture.pass();
  const { definition } = await fixture.mustJob('job-twice');
  await fixture.request('job-twice', [3, 4]);
  await fixture.pass();
  expect(await fixture.requests()).toHaveLength(1);

  await fixture.finish('job-twice');
  await fixture.pass();
  expect(await fixture.requests()).toEqual([]);
  expect(await fixture.mustJob('job-twice')).toMatchObject({ state: 'completed', definition });
});

test('a request for an open job waits until the job has ended', async () => {
  const { blobs, control } = fixture;
  await uploadJob(blobs, 'job-open');
  await fixture.scan();
  await control.ledger.move('job-open', 'running');
  const failed = [{ kind: 'inference' as const, message: 'no output', frames: [[3, 4] as const] }];
  await control.ledger.resolve(firstSplit('job-open'), { batchIndex: null, scored: [], failed, nowMs: 1 });
  await fixture.request('job-open', [3, 4]);
  await fixture.pass();
  expect(await fixture.mustJob('job-open')).toMatchObject({ state: 'running', framesFailed: 1 });
  expect(await fixture.requests()).toHaveLength(1);

  await fixture.finish('job-open', { failing: [3] });
  await fixture.pass();
  expect(await fixture.mustJob('job-open')).toMatchObject({
    state: 'waiting',
    framesScored: 5,
    framesFailed: 0,
  });
});

test('a job that the ledger has lost is reopened with its original model version', async () => {
  await fixture.endedJob('job-model', { failing: [3] });
  const { model } = (await fixture.mustJob('job-model')).definition;
  await publishModel(fixture.blobs, 'painter', '11');
  await fixture.control.redis.flushall();
  await fixture.request('job-model', [3, 4]);
  await fixture.pass();
  expect((await fixture.mustJob('job-model')).definition.model).toEqual(model);
});

test('an intake that knows the job as ended reopens it if Redis is lost during the redrive', async () => {
  const { control } = fixture;
  await fixture.endedJob('job-lost', { failing: [3] });
  const intake = fixture.newIntake();
  await control.redis.flushall();
  await fixture.scan(intake);
  expect(await control.ledger.isKnown('job-lost')).toBe(false);
  await fixture.request('job-lost', [3, 4]);
  await fixture.pass();
  await fixture.scan(intake);
  await control.redis.flushall();
  await fixture.scan(intake);
  expect(await fixture.mustJob('job-lost')).toMatchObject({ state: 'waiting', framesScored: 5 });
});

test('all frames run again if they were removed before the redrive', async () => {
  const { blobs } = fixture;
  await fixture.endedJob('job-late', { failing: [3] });
  for await (const { name } of blobs.list('scored', { prefix: 'job-late/' }))
    await blobs.remove('scored', name);
  await fixture.request('job-late', [3, 4], [6, 7]);
  await fixture.pass();
  expect(await fixture.mustJob('job-late')).toMatchObject({ state: 'waiting', framesScored: 0 });
});

test('an unreadable request and a request for an unknown job are removed and do not affect others', async () => {
  const { blobs } = fixture;
  await fixture.endedJob('job-unread', { failing: [3] });
  await blobs.put('control', redriveBlob('job-unread', 'a'), 'no request');
  await blobs.put('control', redriveBlob('job-nowhere', 'b'), '{}');
  await blobs.put('control', 'redrive/../x', '{}');
  await fixture.endedJob('job-read', { failing: [3] });
  await fixture.request('job-read', [3, 4]);
  await fixture.pass();
  expect((await fixture.requests()).filter((name) => name.includes('/job-'))).toEqual([]);
  expect(await fixture.mustJob('job-unread')).toMatchObject({ state: 'completed' });
  expect(await fixture.mustJob('job-read')).toMatchObject({ state: 'waiting' });
});

test('the status of a job that cannot be reopened has the reason', async () => {
  await fixture.endedJob('job-gone', { failing: [3] });
  await fixture.blobs.remove('incoming', 'job-gone/harbour.mp4');
  await fixture.request('job-gone', [3, 4]);
  await fixture.pass();
  expect(await fixture.statusOf('job-gone')).toMatchObject({
    state: 'failed',
    error: { code: 'SOURCE_CHANGED' },
  });
  expect(await fixture.requests()).toEqual([]);
  await fixture.blobs.remove('incoming', triggerBlob('job-gone'));
});

test('two producers at the same time reopen a job once', async () => {
  await using other = await startControlPlane(fixture.server);
  other.clock.advance(7_777_000);
  for (let round = 0; round < 5; round += 1) {
    const jobId = `job-two-${round}`;
    await fixture.endedJob(jobId, { failing: [3, 7] });
    await fixture.request(jobId, [3, 4]);
    await Promise.all([fixture.pass(), redrivePass({ ...fixture.services, ...other })]);
    await fixture.pass();
    const job = await fixture.mustJob(jobId);
    expect(job).toMatchObject({ state: 'waiting', framesScored: 4, framesFailed: 1 });
    expect(await fixture.requests()).toEqual([]);
    expect(await fixture.storedOf(jobId)).toHaveLength(2);
    await fixture.finish(jobId);
  }
});

/** Calls with side effects in a redrive of one frame, from writing the status to removing the request. */
const CHANGES = 10;

test.each(['completed', 'failed'] as const)(
  'a producer that is killed after any of its calls leaves a %s job that another producer finishes',
  async (as) => {
    let kills = 0;
    for (let killAt = 1; killAt <= CHANGES; killAt += 1) {
      const jobId = `job-killed-${as}-${killAt}`;
      await fixture.endedJob(jobId, { failing: [3, 7], as });
      await fixture.request(jobId, [3, 4]);
      const killed = new KilledAfter(killAt);
      const { services, control } = fixture;
      control.clock.advance(1000);
      await redrivePass({
        ...services,
        blobs: killed.watch(services.blobs, ['put', 'remove']),
        ledger: killed.watch(control.ledger, ['forget', 'open', 'resolve']),
        steps: killed.watch(control.steps, ['add']),
        retention: killed.watch(control.retention, ['cancel']),
      });
      if (killed.isKilled) kills += 1;

      await fixture.scan();
      await fixture.pass();
      expect(await fixture.mustJob(jobId)).toMatchObject({ state: 'waiting' });
      await fixture.finish(jobId, { failing: [7] });
      // If the request is still there, none of its frames is failed any more.
      await fixture.pass();
      expect(await fixture.requests()).toEqual([]);
      const status = await fixture.statusOf(jobId);
      expect(status).toMatchObject({ state: 'completed' });
      expect(await fixture.mustJob(jobId)).toMatchObject({
        state: 'completed',
        framesScored: 9,
        framesFailed: 1,
      });
    }
    expect(kills).toBeGreaterThanOrEqual(8);
    expect(kills).toBeLessThan(CHANGES);
  },
);

test('a step of an earlier epoch does not affect a redriven job', async () => {
  const { control, blobs } = fixture;
  const before = await fixture.endedJob('job-steps', { failing: [3] });
  await fixture.request('job-steps', [3, 4]);
  await fixture.pass();
  await control.ledger.move('job-steps', 'running');
  const workFolder = await testFolder();
  const folders = await JobFolders.open({ workFolder, workBytesMax: undefined, blobs });
  const services = { ...fixture.services, folders };
  const step = { jobId: 'job-steps', epoch: before.definition.epoch, splitNumber: 1 };
  const { signal } = new AbortController();
  const sourceLimits = {
    framesMax: 1,
    durationSecondsMax: 1,
    pixelsMax: 1,
    wallSecondsMax: 1,
    cpuSecondsMax: 1,
  };
  await split({ ...services, sourceLimits }, step, signal);
  await stitch({ ...services, stitchCpuSecondsMax: 1 }, step, signal);
  await failJob(services, step, new Error('late'));
  expect(await fixture.mustJob('job-steps')).toMatchObject({ state: 'running', framesSplit: 0 });
  await rm(workFolder, { recursive: true });
});
