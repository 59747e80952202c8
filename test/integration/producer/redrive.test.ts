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
import { FRAMES, type RedriveBench, startRedriveBench } from '../../support/redrive-bench.ts';
import { testFolder } from '../../support/servers.ts';
import { startStepProducer } from '../../support/step-producer.ts';
import { publishModel, uploadJob } from '../../support/upload-job.ts';

let bench: RedriveBench;

beforeAll(async () => {
  bench = await startRedriveBench();
});
afterAll(() => bench[Symbol.asyncDispose]());
beforeEach(() => bench.reset());

test('a completed job is opened again with the one failure that was asked for, and all the rest as it was', async () => {
  const { control, server } = bench;
  const before = await bench.endedJob('job-one', { failing: [3, 7] });
  await control.retention.schedule({ jobId: 'job-one', dueAtMs: 1 });
  const redrivesBefore = await countOfMetric(control.metrics.redrives);
  await bench.request('job-one', [3, 4]);
  await bench.pass();

  const after = await bench.mustJob('job-one');
  expect(after).toMatchObject({ state: 'waiting', framesScored: 8, framesFailed: 1 });
  expect(after.definition.epoch).toBeGreaterThan(before.definition.epoch);
  expect(await control.ledger.failures('job-one')).toMatchObject([{ frameIndex: 7, message: 'no picture' }]);
  expect(await bench.recordsOf('job-one')).toEqual(['job-one/00000007.failed.json']);
  expect(await bench.statusOf('job-one')).toMatchObject({ state: 'waiting', result: null });
  expect(await bench.requests()).toEqual([]);
  expect(await control.retention.dueAtMs('job-one')).toBeUndefined();
  expect((await countOfMetric(control.metrics.redrives)) - redrivesBefore).toBe(1);
  await using splitter = await startStepProducer(server);
  await eventually('it is split again', () => splitter.runs.filter((id) => id === 'job-one').length === 2);
});

test('only the frame that was asked for is dispatched again', async () => {
  const { ledger } = bench.control;
  await bench.endedJob('job-batch', { failing: [3, 7] });
  await bench.request('job-batch', [7, 8]);
  await bench.pass();
  await ledger.move('job-batch', 'running');
  await ledger.planSplit('job-batch', { batchSize: 1, framesExpected: FRAMES, megapixelsPerFrame: 1 });
  await ledger.finishSplit('job-batch', FRAMES);
  expect(await ledger.claimBatch('job-batch', 1)).toEqual({ batchIndex: 7, frameStart: 7, frameEnd: 8 });
  expect(await ledger.claimBatch('job-batch', 1)).toBeUndefined();
});

test('a job that failed is opened again, and what nobody asked for again is still failed', async () => {
  const job = { failing: [2, 3, 4], as: 'failed', onFailedFrame: 'fail' } as const;
  await bench.endedJob('job-failed', job);
  await bench.request('job-failed', [2, 4]);
  await bench.pass();
  expect(await bench.mustJob('job-failed')).toMatchObject({ state: 'waiting', framesFailed: 1 });
  expect(await bench.statusOf('job-failed')).toMatchObject({ state: 'waiting', error: null });
  await bench.finish('job-failed', { as: 'completed' });
  expect(await bench.statusOf('job-failed')).toMatchObject({ state: 'completed', frames: { scored: 9 } });
});

test('several requests for a job are carried out together', async () => {
  await bench.endedJob('job-several', { failing: [0, 5, 9] });
  await bench.request('job-several', [0, 1]);
  await bench.request('job-several', [5, 6], [9, 10]);
  await bench.pass();
  expect(await bench.mustJob('job-several')).toMatchObject({ framesScored: 7, framesFailed: 0 });
  expect(await bench.requests()).toEqual([]);
});

test('asked for twice it is done once: the second request waits for the end, and goes', async () => {
  await bench.endedJob('job-twice', { failing: [3] });
  await bench.request('job-twice', [3, 4]);
  await bench.pass();
  const { definition } = await bench.mustJob('job-twice');
  await bench.request('job-twice', [3, 4]);
  await bench.pass();
  expect(await bench.requests()).toHaveLength(1);

  await bench.finish('job-twice');
  await bench.pass();
  expect(await bench.requests()).toEqual([]);
  expect(await bench.mustJob('job-twice')).toMatchObject({ state: 'completed', definition });
});

test('a request for a job that is still open waits until it has ended, and is told to its people', async () => {
  const { blobs, control } = bench;
  await uploadJob(blobs, 'job-open');
  await bench.scan();
  await control.ledger.move('job-open', 'running');
  const failed = [{ kind: 'missing' as const, message: 'gone', frames: [[3, 4] as [number, number]] }];
  await control.ledger.resolve('job-open', { batchIndex: null, scored: [], failed, nowMs: 1 });
  await bench.request('job-open', [3, 4]);
  await bench.pass();
  expect(await bench.mustJob('job-open')).toMatchObject({ state: 'running', framesFailed: 1 });
  expect(await bench.requests()).toHaveLength(1);

  await bench.finish('job-open');
  await bench.pass();
  expect(await bench.mustJob('job-open')).toMatchObject({
    state: 'waiting',
    framesScored: 9,
    framesFailed: 0,
  });
});

test('a job whose ledger has forgotten it is opened again with the model it was begun with', async () => {
  await bench.endedJob('job-model', { failing: [3] });
  const { model } = (await bench.mustJob('job-model')).definition;
  await publishModel(bench.blobs, 'painter', '11');
  await bench.control.redis.flushall();
  await bench.request('job-model', [3, 4]);
  await bench.pass();
  expect((await bench.mustJob('job-model')).definition.model).toEqual(model);
});

test('an intake that has seen the job end opens it again, where the ledger is lost while it is redriven', async () => {
  const { control } = bench;
  await bench.endedJob('job-lost', { failing: [3] });
  const intake = bench.newIntake();
  await control.redis.flushall();
  await bench.scan(intake);
  expect(await control.ledger.isKnown('job-lost')).toBe(false);
  await bench.request('job-lost', [3, 4]);
  await bench.pass();
  await bench.scan(intake);
  await control.redis.flushall();
  await bench.scan(intake);
  expect(await bench.mustJob('job-lost')).toMatchObject({ state: 'waiting', framesScored: 9 });
});

test('frames that were removed in the meantime are all done again', async () => {
  const { blobs } = bench;
  await bench.endedJob('job-late', { failing: [3] });
  for await (const { name } of blobs.list('scored', { prefix: 'job-late/' }))
    await blobs.remove('scored', name);
  await bench.request('job-late', [3, 4], [6, 7]);
  await bench.pass();
  expect(await bench.mustJob('job-late')).toMatchObject({ state: 'waiting', framesScored: 0 });
});

test('a request that cannot be read, or is for a job that is not there, goes and harms nobody', async () => {
  const { blobs } = bench;
  await bench.endedJob('job-unread', { failing: [3] });
  await blobs.put('control', redriveBlob('job-unread', 'a'), 'no request');
  await blobs.put('control', redriveBlob('job-nowhere', 'b'), '{}');
  await blobs.put('control', 'redrive/../x', '{}');
  await bench.endedJob('job-read', { failing: [3] });
  await bench.request('job-read', [3, 4]);
  await bench.pass();
  expect((await bench.requests()).filter((name) => name.includes('/job-'))).toEqual([]);
  expect(await bench.mustJob('job-unread')).toMatchObject({ state: 'completed' });
  expect(await bench.mustJob('job-read')).toMatchObject({ state: 'waiting' });
});

test('a job that cannot be opened again says why', async () => {
  await bench.endedJob('job-gone', { failing: [3] });
  await bench.blobs.remove('incoming', 'job-gone/harbour.mp4');
  await bench.request('job-gone', [3, 4]);
  await bench.pass();
  expect(await bench.statusOf('job-gone')).toMatchObject({
    state: 'failed',
    error: { code: 'SOURCE_CHANGED' },
  });
  expect(await bench.requests()).toEqual([]);
  await bench.blobs.remove('incoming', triggerBlob('job-gone'));
});

test('two producers at once open it once', async () => {
  await using other = await startControlPlane(bench.server);
  other.clock.advance(7_777_000);
  for (let round = 0; round < 5; round += 1) {
    const jobId = `job-two-${round}`;
    await bench.endedJob(jobId, { failing: [1, 3] });
    await bench.request(jobId, [3, 4]);
    await Promise.all([bench.pass(), redrivePass({ ...bench.parts, ...other })]);
    await bench.pass();
    const job = await bench.mustJob(jobId);
    expect(job).toMatchObject({ state: 'waiting', framesScored: 8, framesFailed: 1 });
    expect(await bench.requests()).toEqual([]);
    expect(await bench.recordsOf(jobId)).toHaveLength(1);
    await bench.finish(jobId);
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
      await bench.endedJob(jobId, { failing: [3, 7], as });
      await bench.request(jobId, [3, 4]);
      const killed = new KilledAfter(killAt);
      const { parts, control } = bench;
      control.clock.advance(1000);
      await redrivePass({
        ...parts,
        blobs: killed.watch(parts.blobs, ['put', 'remove']),
        ledger: killed.watch(control.ledger, ['forget', 'open', 'resolve']),
        steps: killed.watch(control.steps, ['add']),
        retention: killed.watch(control.retention, ['cancel']),
      });
      if (killed.isKilled) kills += 1;

      await bench.scan();
      await bench.pass();
      expect(await bench.mustJob(jobId)).toMatchObject({ state: 'waiting' });
      await bench.finish(jobId);
      // What is left of the request finds nothing failed any more, but for the frame that nobody asked for.
      await bench.pass();
      expect(await bench.requests()).toEqual([]);
      const status = await bench.statusOf(jobId);
      expect(status).toMatchObject({ state: 'completed' });
      expect(await bench.mustJob(jobId)).toMatchObject({ state: 'completed' });
    }
    expect(kills).toBeGreaterThanOrEqual(7);
    expect(kills).toBeLessThan(CHANGES);
  },
);

test('a step of the job as it was before its redrive does nothing to it', async () => {
  const { control, blobs } = bench;
  const before = await bench.endedJob('job-steps', { failing: [3] });
  await bench.request('job-steps', [3, 4]);
  await bench.pass();
  await control.ledger.move('job-steps', 'running');
  const workFolder = await testFolder();
  const folders = await JobFolders.open({ workFolder, workBytesMax: undefined, blobs });
  const parts = { ...bench.parts, folders };
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
  expect(await bench.mustJob('job-steps')).toMatchObject({ state: 'running', framesSplit: 0 });
  await rm(workFolder, { recursive: true });
});
