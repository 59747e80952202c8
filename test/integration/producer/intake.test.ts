/** Triggers that become a job, exactly once. `refusals.test.ts` covers those that do not. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { putSourcePlan } from '../../../producer/jobs/source-plans.ts';
import {
  failedFrameBlob,
  segmentBlob,
  sourceBlob,
  statusBlob,
  triggerBlob,
} from '../../../shared/contract/blob-names.ts';
import type { JobStatus } from '../../../shared/contract/job.ts';
import { firstSplit } from '../../support/build-job.ts';
import { BUILT_PLAN } from '../../support/build-plan.ts';
import { countOfMetric } from '../../support/control-plane.ts';
import { eventually } from '../../support/eventually.ts';
import { type IntakeFixture, startIntakeFixture } from '../../support/intake-fixture.ts';
import { runMarker, startStepProducer } from '../../support/step-producer.ts';
import {
  blobCreatedEvent,
  putFailedFrame,
  putSegment,
  publishModel,
  uploadJob,
} from '../../support/upload-job.ts';

let fixture: IntakeFixture;

beforeAll(async () => {
  fixture = await startIntakeFixture();
});
afterAll(() => fixture[Symbol.asyncDispose]());
beforeEach(async () => {
  await fixture.control.redis.flushall();
});

/** Finishes the split of an open job, in batches of one frame. */
async function finishSplit(jobId: string, frameCount: number): Promise<void> {
  const { ledger } = fixture.control;
  await ledger.move(jobId, 'running');
  const plan = { batchSize: 1, framesExpected: frameCount, megapixelsPerFrame: 1 };
  await ledger.planSplit(firstSplit(jobId), plan);
  await ledger.finishSplit(firstSplit(jobId), frameCount);
}

test('a job knows whether its model has a state, and pins both of its files', async () => {
  const tensors = [{ input: 'before', output: 'after', type: 'uint8' as const, shape: [1] }];
  const float16 = { file: 'recurrent-float16.onnx', sha256: 'b'.repeat(64), difference: 1 };
  await publishModel(fixture.blobs, 'recurrent', '1', { state: { tensors, contextFrames: 5 }, float16 });
  await uploadJob(fixture.blobs, 'job-state', () => ({ model: { name: 'recurrent' } }));
  await fixture.scan();
  expect((await fixture.control.ledger.job('job-state'))?.definition.contextFrames).toBe(5);
  const { model } = (await fixture.control.ledger.job('job-state'))?.definition ?? {};
  expect(model?.float16Sha256).toBe(float16.sha256);
});

test('a job with three events and a scan on two producers is opened once', async () => {
  const { events, control, server } = fixture;
  const request = await uploadJob(fixture.blobs, 'job-once');
  const event = blobCreatedEvent('incoming', triggerBlob('job-once'));
  const cloudEvent = { ...event, eventType: undefined, type: event['eventType'], specversion: '1.0' };
  await events.send(Buffer.from(JSON.stringify([event])).toString('base64'));
  await events.send(JSON.stringify(event));
  await events.send(Buffer.from(JSON.stringify(cloudEvent)).toString('base64'));
  await using splitter = await startStepProducer(server);

  const [mine, others] = [fixture.newIntake(), fixture.newIntake()];
  await Promise.all([fixture.scan(mine), fixture.scan(others)]);
  await fixture.scan(others);
  await runMarker(splitter);

  const jobs = (await control.ledger.openJobs()).filter(({ jobId }) => jobId === 'job-once');
  // The newest of versions 1, 2 and 10.
  const model = { name: 'painter', version: '10' };
  expect(jobs).toMatchObject([{ state: 'waiting', definition: { request, model } }]);
  expect(splitter.runs.filter((jobId) => jobId === 'job-once')).toHaveLength(1);
  expect(await events.countApprox()).toBe(0);
});

test('an event opens its job before anything is scanned', async () => {
  await uploadJob(fixture.blobs, 'job-told');
  await uploadJob(fixture.blobs, 'job-not-told');
  await fixture.events.send(JSON.stringify(blobCreatedEvent('incoming', triggerBlob('job-told'))));
  expect(await fixture.newIntake().pass()).toBe(0);
  expect(await fixture.control.ledger.isKnown('job-told')).toBe(true);
  expect(await fixture.control.ledger.isKnown('job-not-told')).toBe(false);
});

test('a scan finds a trigger without an event, and other files start nothing', async () => {
  const { blobs, control } = fixture;
  await uploadJob(blobs, 'job-silent');
  await blobs.put('incoming', sourceBlob('job-half', 'harbour.mp4'), 'the trigger is still to come');
  await blobs.put('incoming', 'holiday.mp4', 'of no job');
  await fixture.scan();
  expect(await control.ledger.isKnown('job-silent')).toBe(true);
  expect(await control.ledger.isKnown('job-half')).toBe(false);
  expect(await fixture.statusOf('job-half')).toBeUndefined();
});

test('a malformed event is removed and counted, and an unrelated event is removed', async () => {
  const { events, control } = fixture;
  const before = await countOfMetric(control.metrics.messagesRefused);
  await events.send('not an event');
  await events.send(Buffer.from('{"subject":7}').toString('base64'));
  await events.send(JSON.stringify(blobCreatedEvent('scored', 'job-x/job.json')));
  await events.send(JSON.stringify(blobCreatedEvent('incoming', '../job-x/job.json')));
  await events.send(JSON.stringify(blobCreatedEvent('incoming', 'job-not-there/job.json')));
  await fixture.scan();
  expect(await events.countApprox()).toBe(0);
  expect((await countOfMetric(control.metrics.messagesRefused)) - before).toBe(2);
  expect(await control.ledger.isKnown('job-x')).toBe(false);
  expect(await control.ledger.isKnown('job-not-there')).toBe(false);
});

test('a lost ledger is rebuilt with scored frames, failed frames and their reasons', async () => {
  const { blobs, control } = fixture;
  const jobId = 'job-recovered';
  await uploadJob(blobs, jobId);
  await fixture.scan();
  const before = await control.ledger.job(jobId);
  await putSegment(blobs, jobId, [0, 4]);
  await putSegment(blobs, jobId, [4, 8], [5, 6]);
  await putSegment(blobs, jobId, [9, 10]);
  // Frame 3 was scored after its failure, and frame 8 is given up but its segment is not stored yet.
  for (const frameIndex of [3, 5, 8]) await putFailedFrame(blobs, jobId, frameIndex);
  await blobs.put('scored', failedFrameBlob(firstSplit(jobId), 6), 'no record');
  await putSegment(blobs, 'job-recovered-not', [8, 9]);
  await control.redis.flushall();
  await fixture.scan();

  const after = await control.ledger.job(jobId);
  expect(after).toMatchObject({ state: 'waiting', framesScored: 7, framesFailed: 2 });
  expect(after?.definition.request).toEqual(before?.definition.request);
  expect(after?.definition.epoch).toBeGreaterThan(before?.definition.epoch ?? Infinity);
  expect(await control.ledger.failures(jobId)).toEqual([
    { frameIndex: 5, kind: 'inference', message: 'no output' },
    { frameIndex: 6, kind: 'storage', message: 'the record of its failure cannot be read' },
  ]);
  await finishSplit(jobId, 11);
  const claims = Array.from({ length: 3 }, () => control.ledger.claimBatch(firstSplit(jobId), 1));
  expect((await Promise.all(claims)).map((batch) => batch?.frameStart)).toEqual([8, 10, undefined]);
});

test('a lost ledger is rebuilt with the last split that has a plan, and the frames of that split', async () => {
  const { blobs, control } = fixture;
  const second = { jobId: 'job-split-twice', splitNumber: 2 };
  await uploadJob(blobs, second.jobId);
  await putSegment(blobs, second.jobId, [0, 4]);
  await blobs.put('scored', segmentBlob(second, [0, 3]), 'a segment');
  await putSourcePlan(blobs, firstSplit(second.jobId), BUILT_PLAN);
  await fixture.scan();
  expect(await control.ledger.job(second.jobId)).toMatchObject({ splitNumber: 1, framesScored: 4 });

  await putSourcePlan(blobs, second, BUILT_PLAN);
  await control.redis.flushall();
  await using splitter = await startStepProducer(fixture.server);
  await fixture.scan();
  const job = await control.ledger.job(second.jobId);
  expect(job).toMatchObject({ splitNumber: 2, framesScored: 3 });
  await eventually('it is split', () => splitter.runs.includes(second.jobId));
  expect(splitter.jobRuns).toContainEqual({ ...second, epoch: job?.definition.epoch });
});

test('an ended job is not reopened after the ledger is lost', async () => {
  const { createdAt } = await uploadJob(fixture.blobs, 'job-ended');
  const ended: JobStatus = {
    version: 1,
    jobId: 'job-ended',
    state: 'completed',
    frames: { expected: 1, split: 1, scored: 1, failed: 0, underway: 0, stitched: 1 },
    pace: null,
    scoringSince: null,
    updatedAt: createdAt,
    warnings: [],
    heldAtCap: null,
    pausedSince: null,
    spent: 0,
    result: { blobName: 'job-ended/harbour.mp4', sizeBytes: 1 },
    error: null,
  };
  await fixture.blobs.put('results', statusBlob('job-ended'), JSON.stringify(ended));
  await fixture.scan();
  expect(await fixture.control.ledger.isKnown('job-ended')).toBe(false);
  expect(await fixture.statusOf('job-ended')).toEqual(ended);

  await fixture.blobs.put('results', statusBlob('job-ended'), JSON.stringify({ ...ended, state: 'running' }));
  await fixture.scan();
  expect(await fixture.control.ledger.isKnown('job-ended')).toBe(true);
});

test('a scan starts a step that a killed producer did not start', async () => {
  const { control, server } = fixture;
  await uploadJob(fixture.blobs, 'job-orphan');
  await fixture.scan();
  await finishSplit('job-orphan', 1);
  const scored = [[0, 1]] as const;
  await control.ledger.resolve(firstSplit('job-orphan'), { batchIndex: null, scored, failed: [], nowMs: 1 });
  for (const key of await control.redis.keys('bull:*')) await control.redis.del(key);
  await using splitter = await startStepProducer(server);
  await using stitcher = await startStepProducer(server, { step: 'stitch' });
  await fixture.scan();
  await eventually('both are run', () =>
    [splitter, stitcher].every(({ runs }) => runs.includes('job-orphan')),
  );
  expect([splitter.failures, stitcher.failures]).toEqual([[], []]);
});
