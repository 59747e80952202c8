/** Failures of an ended job are tried again on request, once, whoever dies on the way; the rest of the job stays as it is. */
import { rm } from 'node:fs/promises';

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { failJob } from '../../../producer/jobs/fail-job.ts';
import { JobFolders } from '../../../producer/jobs/job-folders.ts';
import { redrivePass } from '../../../producer/jobs/redrive.ts';
import { split } from '../../../producer/jobs/split.ts';
import { stitch } from '../../../producer/jobs/stitch.ts';
import { redriveBlob, triggerBlob } from '../../../shared/contract/blob-names.ts';
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

test('a completed job is opened again with the one failure that was asked for, and all the rest as it was', async () => {
  const { control, server } = fixture;
  const before = await fixture.endedJob('job-one', { failing: [3, 7] });
  await control.retention.schedule({ jobId: 'job-one', dueAtMs: 1 });
  const redrivesBefore = await countOfMetric(control.metrics.redrives);
  await fixture.request('job-one', [3, 4]);
  await fixture.pass();

  const after = await fixture.mustJob('job-one');
  expect(after).toMatchObject({ state: 'waiting', framesScored: 8, framesFailed: 1 });
  expect(after.definition.epoch).toBeGreaterThan(before.definition.epoch);
  expect(await control.ledger.failures('job-one')).toMatchObject([{ frameIndex: 7, message: 'no picture' }]);
  expect(await fixture.recordsOf('job-one')).toEqual(['job-one/00000007.failed.json']);
  expect(await fixture.statusOf('job-one')).toMatchObject({ state: 'waiting', result: null });
  expect(await fixture.requests()).toEqual([]);
  expect(await control.retention.dueAtMs('job-one')).toBeUndefined();
  expect((await countOfMetric(control.metrics.redrives)) - redrivesBefore).toBe(1);
  await using splitter = await startStepProducer(server);
  await eventually('it is split again', () => splitter.runs.filter((id) => id === 'job-one').length === 2);
});

test('only the frame that was asked for is dispatched again', async () => {
  const { ledger } = fixture.control;
  await fixture.endedJob('job-batch', { failing: [3, 7] });
  await fixture.request('job-batch', [7, 8]);
  await fixture.pass();
  await ledger.move('job-batch', 'running');
  await ledger.planSplit('job-batch', { batchSize: 1, framesExpected: FRAMES, megapixelsPerFrame: 1 });
  await ledger.finishSplit('job-batch', FRAMES);
  expect(await ledger.claimBatch('job-batch', 1)).toEqual({ batchIndex: 7, frameStart: 7, frameEnd: 8 });
  expect(await ledger.claimBatch('job-batch', 1)).toBeUndefined();
});

test('a job that failed is opened again, and what nobody asked for again is still failed', async () => {
  const job = { failing: [2, 3, 4], as: 'failed', onFailedFrame: 'fail' } as const;
  await fixture.endedJob('job-failed', job);
  await fixture.request('job-failed', [2, 4]);
  await fixture.pass();
  expect(await fixture.mustJob('job-failed')).toMatchObject({ state: 'waiting', framesFailed: 1 });
  expect(await fixture.statusOf('job-failed')).toMatchObject({ state: 'waiting', error: null });
  await fixture.finish('job-failed', { as: 'completed' });
  expect(await fixture.statusOf('job-failed')).toMatchObject({ state: 'completed', frames: { scored: 9 } });
});

test('several requests for a job are carried out together', async () => {
  await fixture.endedJob('job-several', { failing: [0, 5, 9] });
  await fixture.request('job-several', [0, 1]);
  await fixture.request('job-several', [5, 6], [9, 10]);
  await fixture.pass();
  expect(await fixture.mustJob('job-several')).toMatchObject({ framesScored: 7, framesFailed: 0 });
  expect(await fixture.requests()).toEqual([]);
});

test('asked for twice it is done once: the second request waits for the end, and goes', async () => {
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

test('a request for a job that is still open waits until it has ended, and is told to its people', async () => {
  const { blobs, control } = fixture;
  await uploadJob(blobs, 'job-open');
  await fixture.scan();
  await control.ledger.move('job-open', 'running');
  const failed = [{ kind: 'missing' as const, message: 'gone', frames: [[3, 4] as [number, number]] }];
  await control.ledger.resolve('job-open', { batchIndex: null, scored: [], failed, nowMs: 1 });
  await fixture.request('job-open', [3, 4]);
  await fixture.pass();
  expect(await fixture.mustJob('job-open')).toMatchObject({ state: 'running', framesFailed: 1 });
  expect(await fixture.requests()).toHaveLength(1);

  await fixture.finish('job-open');
  await fixture.pass();
  expect(await fixture.mustJob('job-open')).toMatchObject({
    state: 'waiting',
    framesScored: 9,
    framesFailed: 0,
  });
});

test('a job whose ledger has forgotten it is opened again with the model it was begun with', async () => {
  await fixture.endedJob('job-model', { failing: [3] });
  const { model } = (await fixture.mustJob('job-model')).definition;
  await publishModel(fixture.blobs, 'painter', '11');
  await fixture.control.redis.flushall();
  await fixture.request('job-model', [3, 4]);
  await fixture.pass();
  expect((await fixture.mustJob('job-model')).definition.model).toEqual(model);
});

test('an intake that has seen the job end opens it again, where the ledger is lost while it is redriven', async () => {
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
  expect(await fixture.mustJob('job-lost')).toMatchObject({ state: 'waiting', framesScored: 9 });
});

test('frames that were removed in the meantime are all done again', async () => {
  const { blobs } = fixture;
  await fixture.endedJob('job-late', { failing: [3] });
  for await (const { name } of blobs.list('scored', { prefix: 'job-late/' }))
    await blobs.remove('scored', name);
  await fixture.request('job-late', [3, 4], [6, 7]);
  await fixture.pass();
  expect(await fixture.mustJob('job-late')).toMatchObject({ state: 'waiting', framesScored: 0 });
});

test('a request that cannot be read, or is for a job that is not there, goes and harms nobody', async () => {
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

test('a job that cannot be opened again says why', async () => {
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

test('two producers at once open it once', async () => {
  await using other = await startControlPlane(fixture.server);
  other.clock.advance(7_777_000);
  for (let round = 0; round < 5; round += 1) {
    const jobId = `job-two-${round}`;
    await fixture.endedJob(jobId, { failing: [1, 3] });
    await fixture.request(jobId, [3, 4]);
    await Promise.all([fixture.pass(), redrivePass({ ...fixture.parts, ...other })]);
    await fixture.pass();
    const job = await fixture.mustJob(jobId);
    expect(job).toMatchObject({ state: 'waiting', framesScored: 8, framesFailed: 1 });
    expect(await fixture.requests()).toEqual([]);
    expect(await fixture.recordsOf(jobId)).toHaveLength(1);
    await fixture.finish(jobId);
  }
});

/** Calls that change something, in a redrive of one frame: from the status to the request that goes. */
const CHANGES = 9;

test.each(['completed', 'failed'] as const)(
  'a producer that is killed behind any of its calls leaves a %s job that another brings to its end',
  async (as) => {
    let kills = 0;
    for (let killAt = 1; killAt <= CHANGES; killAt += 1) {
      const jobId = `job-killed-${as}-${killAt}`;
      await fixture.endedJob(jobId, { failing: [3, 7], as });
      await fixture.request(jobId, [3, 4]);
      const killed = new KilledAfter(killAt);
      const { parts, control } = fixture;
      control.clock.advance(1000);
      await redrivePass({
        ...parts,
        blobs: killed.watch(parts.blobs, ['put', 'remove']),
        ledger: killed.watch(control.ledger, ['forget', 'open', 'resolve']),
        steps: killed.watch(control.steps, ['add']),
        retention: killed.watch(control.retention, ['cancel']),
      });
      if (killed.isKilled) kills += 1;

      await fixture.scan();
      await fixture.pass();
      expect(await fixture.mustJob(jobId)).toMatchObject({ state: 'waiting' });
      await fixture.finish(jobId);
      // What is left of the request finds nothing failed any more, but for the frame that nobody asked for.
      await fixture.pass();
      expect(await fixture.requests()).toEqual([]);
      const status = await fixture.statusOf(jobId);
      expect(status).toMatchObject({ state: 'completed' });
      expect(await fixture.mustJob(jobId)).toMatchObject({ state: 'completed' });
    }
    expect(kills).toBeGreaterThanOrEqual(7);
    expect(kills).toBeLessThan(CHANGES);
  },
);

test('a step of the job as it was before its redrive does nothing to it', async () => {
  const { control, blobs } = fixture;
  const before = await fixture.endedJob('job-steps', { failing: [3] });
  await fixture.request('job-steps', [3, 4]);
  await fixture.pass();
  await control.ledger.move('job-steps', 'running');
  const workFolder = await testFolder();
  const folders = await JobFolders.open({ workFolder, workBytesMax: undefined, blobs });
  const parts = { ...fixture.parts, folders };
  const step = { jobId: 'job-steps', epoch: before.definition.epoch };
  const { signal } = new AbortController();
  const sourceLimits = {
    framesMax: 1,
    durationSecondsMax: 1,
    pixelsMax: 1,
    wallSecondsMax: 1,
    cpuSecondsMax: 1,
  };
  await split({ ...parts, sourceLimits }, step, signal);
  await stitch({ ...parts, stitchCpuSecondsMax: 1 }, step, signal);
  await failJob(parts, step, new Error('late'));
  expect(await fixture.mustJob('job-steps')).toMatchObject({ state: 'running', framesSplit: 0 });
  await rm(workFolder, { recursive: true });
});
