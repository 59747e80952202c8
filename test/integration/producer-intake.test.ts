import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { Intake } from '../../producer/intake.ts';
import { failedFrameBlob, scoredBlob, sourceBlob, statusBlob, triggerBlob } from '../../shared/contract/blob-names.ts';
import { type JobStatus, jobStatus } from '../../shared/contract/job.ts';
import { type ControlPlane, countOfMetric, passUntilRest, startControlPlane } from '../support/control-plane.ts';
import { eventually } from '../support/eventually.ts';
import { type TestRedis, type TestStorage, startTestRedis, startTestStorage } from '../support/servers.ts';
import { startStepProducer } from '../support/step-producer.ts';
import { type TestQueue, openTestQueue } from '../support/test-queue.ts';
import { STYLES, blobCreatedEvent, publishModel, uploadJob } from '../support/upload-job.ts';

let storage: TestStorage;
let server: TestRedis;
let control: ControlPlane;
let events: TestQueue;

beforeAll(async () => {
  [storage, server] = await Promise.all([startTestStorage(), startTestRedis()]);
  control = await startControlPlane(server);
  for (const version of ['1', '2', '10']) await publishModel(storage.blobs, 'painter', version);
  await publishModel(storage.blobs, 'upscaler', '1');
});
afterAll(async () => {
  await control[Symbol.asyncDispose]();
  await Promise.all([storage[Symbol.asyncDispose](), server[Symbol.asyncDispose]()]);
});
beforeEach(async () => {
  await control.redis.flushall();
  events = await openTestQueue(storage, 'media-events');
});

/** Each is another producer's, or a restarted one's. A scan is due whenever there is no event. */
const newIntake = (): Intake => new Intake({ ...control, blobs: storage.blobs, events: events.queue, scanMs: 1 });

async function scan(intake = newIntake()): Promise<void> {
  control.clock.advance(1000);
  await passUntilRest(() => intake.pass());
}

async function statusOf(jobId: string): Promise<JobStatus | undefined> {
  const bytes = await storage.blobs.get('results', statusBlob(jobId));
  return bytes && jobStatus.parse(JSON.parse(String(bytes)));
}

/** The error in the status of a job that was refused, which the ledger has never heard of. */
async function refusalOf(jobId: string): Promise<JobStatus['error']> {
  await scan();
  expect(await control.ledger.isKnown(jobId)).toBe(false);
  const status = await statusOf(jobId);
  expect(status).toMatchObject({ jobId, state: 'failed', result: null });
  return status?.error ?? null;
}

test('a job whose trigger is told three times and scanned besides is opened once, by one of two producers', async () => {
  const request = await uploadJob(storage.blobs, 'job-once');
  const event = blobCreatedEvent('incoming', triggerBlob('job-once'));
  const cloudEvent = { ...event, eventType: undefined, type: 'Microsoft.Storage.BlobCreated', specversion: '1.0' };
  await events.queue.send(Buffer.from(JSON.stringify([event])).toString('base64'));
  await events.queue.send(JSON.stringify(event).replaceAll('<', '&lt;'));
  await events.queue.send(Buffer.from(JSON.stringify(cloudEvent)).toString('base64'));
  await using splitter = await startStepProducer(server);

  const [mine, others] = [newIntake(), newIntake()];
  await Promise.all([scan(mine), scan(others)]);
  await scan(others);
  await splitter.steps.add('split', 'job-marker');
  await eventually('the marker is split', () => splitter.runs.includes('job-marker'));

  const jobs = (await control.ledger.openJobs()).filter(({ jobId }) => jobId === 'job-once');
  expect(jobs).toMatchObject([{ state: 'waiting', definition: { request, model: { name: 'painter', version: '10' } } }]);
  expect(splitter.runs.filter((jobId) => jobId === 'job-once')).toHaveLength(1);
  expect(await events.queue.countApprox()).toBe(0);
});

test('a trigger that no event told of is found by a scan, and other files start nothing', async () => {
  await uploadJob(storage.blobs, 'job-silent');
  await storage.blobs.put('incoming', sourceBlob('job-half', 'harbour.mp4'), 'the trigger is still to come');
  await storage.blobs.put('incoming', 'drop/holiday.mp4', 'bare');
  await scan();
  expect(await control.ledger.isKnown('job-silent')).toBe(true);
  expect(await control.ledger.isKnown('job-half')).toBe(false);
});

test('a message that is no event is removed and counted, and one about something else is removed', async () => {
  const before = await countOfMetric(control.metrics.messagesRefused);
  await events.queue.send('not an event');
  await events.queue.send(Buffer.from('{"subject":7}').toString('base64'));
  await events.queue.send(JSON.stringify(blobCreatedEvent('scored', 'job-x/job.json')));
  await events.queue.send(JSON.stringify(blobCreatedEvent('incoming', '../job-x/job.json')));
  await events.queue.send(JSON.stringify(blobCreatedEvent('incoming', 'job-not-there/job.json')));
  await scan();
  expect(await events.queue.countApprox()).toBe(0);
  expect((await countOfMetric(control.metrics.messagesRefused)) - before).toBe(2);
  expect(await control.ledger.isKnown('job-not-there')).toBe(false);
});

test('half an upload, or another one since, is refused with SOURCE_CHANGED', async () => {
  await uploadJob(storage.blobs, 'job-short', ({ source }) => ({ source: { ...source, sizeBytes: source.sizeBytes + 1 } }));
  await uploadJob(storage.blobs, 'job-replaced');
  await storage.blobs.put('incoming', sourceBlob('job-replaced', 'harbour.mp4'), 'the video of job-REPLACED');
  await uploadJob(storage.blobs, 'job-missing', ({ source }) => ({ source: { ...source, name: 'other.mp4' } }));

  for (const jobId of ['job-short', 'job-replaced', 'job-missing']) {
    expect(await refusalOf(jobId)).toMatchObject({ code: 'SOURCE_CHANGED', hint: expect.stringMatching(/enqueue/i) });
  }
  expect((await statusOf('job-missing'))?.error?.message).toBe('The video "other.mp4" cannot be used: it is not there.');
});

test('an unknown model is MODEL_UNKNOWN, and the hint names what is published', async () => {
  await uploadJob(storage.blobs, 'job-model', () => ({ model: { name: 'sculptor' } }));
  await uploadJob(storage.blobs, 'job-version', () => ({ model: { name: 'painter', version: '3' } }));
  const hint = expect.stringContaining('painter (1, 2, 10); upscaler (1)');
  expect(await refusalOf('job-model')).toMatchObject({ code: 'MODEL_UNKNOWN', hint });
  expect(await refusalOf('job-version')).toMatchObject({ code: 'MODEL_UNKNOWN', hint });
});

test('an unknown style is STYLE_UNKNOWN, and the hint names what the model can do', async () => {
  await uploadJob(storage.blobs, 'job-style', () => ({ parameters: { style: 'crayon' } }));
  await uploadJob(storage.blobs, 'job-parameter', () => ({ parameters: { strength: '2' } }));
  expect(await refusalOf('job-style')).toMatchObject({
    code: 'STYLE_UNKNOWN',
    message: expect.stringContaining('crayon'),
    hint: expect.stringContaining(STYLES.join(', ')),
  });
  expect(await refusalOf('job-parameter')).toMatchObject({ code: 'STYLE_UNKNOWN', hint: 'It takes: style.' });
});

test.for([
  ['job-text', 'not JSON at all', 'it is not JSON'],
  ['job-empty', '', 'it is not JSON'],
  ['job-array', '[]', 'expected object'],
  ['job-version-9', '{"version":9}', 'version'],
])('the trigger of %s is refused as JOB_INVALID', async ([jobId, body, reason]) => {
  await storage.blobs.put('incoming', triggerBlob(jobId), body);
  expect(await refusalOf(jobId)).toMatchObject({ code: 'JOB_INVALID', message: expect.stringContaining(reason) });
});

test('a trigger that names another job is refused, and the other job is not touched', async () => {
  await uploadJob(storage.blobs, 'job-thief', () => ({ jobId: 'job-victim' }));
  expect(await refusalOf('job-thief')).toMatchObject({ code: 'JOB_INVALID' });
  expect(await control.ledger.isKnown('job-victim')).toBe(false);
  expect(await statusOf('job-victim')).toBeUndefined();
});

test('a refused job stays refused, and does not keep others from being opened', async () => {
  await storage.blobs.put('incoming', triggerBlob('job-aaa-bad'), 'bad');
  await scan();
  const before = await statusOf('job-aaa-bad');
  await uploadJob(storage.blobs, 'job-zzz-good');
  await scan();
  expect(await statusOf('job-aaa-bad')).toEqual(before);
  expect(await control.ledger.isKnown('job-zzz-good')).toBe(true);
});

test('a ledger that was lost finds the frames that are scored, and tries those that had failed again', async () => {
  const jobId = 'job-recovered';
  await uploadJob(storage.blobs, jobId);
  await scan();
  const before = await control.ledger.job(jobId);
  for (const frameIndex of [0, 1, 2, 3, 9]) await storage.blobs.put('scored', scoredBlob(jobId, frameIndex), 'jpg');
  await storage.blobs.put('scored', failedFrameBlob(jobId, 4), '{}');
  await storage.blobs.put('scored', scoredBlob('job-recovered-not', 5), 'jpg');
  await control.redis.flushall();
  await scan();

  const after = await control.ledger.job(jobId);
  expect(after).toMatchObject({ state: 'waiting', framesScored: 5, framesFailed: 0 });
  expect(after?.definition.request).toEqual(before?.definition.request);
  expect(after?.definition.epoch).toBeGreaterThan(before?.definition.epoch ?? 0);
  expect(await control.ledger.resolvedUpTo(jobId, 0)).toBe(4);
  expect(await control.ledger.resolvedUpTo(jobId, 9)).toBe(10);
});

test('a job that has ended is not opened again by a ledger that does not know it', async () => {
  await uploadJob(storage.blobs, 'job-ended');
  await scan();
  const job = await control.ledger.job('job-ended');
  const ended: JobStatus = {
    version: 1,
    jobId: 'job-ended',
    state: 'completed',
    frames: { expected: 1, split: 1, scored: 1, failed: 0, stitched: 1 },
    scoringSince: null,
    updatedAt: job?.definition.request.createdAt ?? '',
    warnings: [],
    result: { blobName: 'job-ended/harbour.mp4', sizeBytes: 1 },
    error: null,
  };
  await storage.blobs.put('results', statusBlob('job-ended'), JSON.stringify(ended));
  await control.redis.flushall();
  await scan();
  expect(await control.ledger.isKnown('job-ended')).toBe(false);
});

test('a step that a dying producer did not start is started by a scan', async () => {
  await uploadJob(storage.blobs, 'job-orphan');
  await scan();
  await control.ledger.move('job-orphan', 'running');
  await control.ledger.resolve('job-orphan', { batchIndex: null, scored: [[0, 1]], failed: [], nowMs: 1 });
  for (const key of await control.redis.keys('bull:*')) await control.redis.del(key);
  await using splitter = await startStepProducer(server);
  await using stitcher = await startStepProducer(server, { step: 'stitch' });
  await scan();
  await eventually('the split is run', () => splitter.runs.includes('job-orphan'));
  await eventually('the stitch is run', () => stitcher.runs.includes('job-orphan'));
});
