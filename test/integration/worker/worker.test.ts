/** A real worker with its engine on real storage: each kind of message, and SIGTERM. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { listOutcomes } from '../../../producer/jobs/stored-outcomes.ts';
import { failedFrameBlob, frameLogBlob, pieceBlob } from '../../../shared/contract/blob-names.ts';
import { decodeFailedFrame } from '../../../shared/contract/failed-frame.ts';
import {
  type BatchMessage,
  MESSAGE_VERSION,
  batchMessage,
  decodeMessage,
} from '../../../shared/contract/messages.ts';
import { countOf } from '../../../shared/contract/ranges.ts';
import { buildBatch } from '../../support/build-batch.ts';
import { firstSplit } from '../../support/build-job.ts';
import { eventually } from '../../support/eventually.ts';
import { type TestFrame, WorkerFixture, countIn } from '../../support/worker-fixture.ts';

let fixture: WorkerFixture;

beforeAll(async () => {
  fixture = await WorkerFixture.open();
});
afterEach(async () => {
  await fixture.stopWorkers();
  await fixture.clear();
});
afterAll(() => fixture[Symbol.asyncDispose]());

const frames = (count: number, kind: TestFrame = 'ordinary') => Array.from({ length: count }, () => kind);

test('a batch is scored, reported and deleted, and a frame that the model fails on fails alone', async () => {
  const batch = await fixture.storeBatch('job-1', [...frames(5), 'error', ...frames(2)]);
  const { jobId, model } = batch;
  await fixture.send(batch);
  fixture.startWorker({ FRAMEFLEET_VM_ID: 'worker-test' });
  const results = await fixture.resultsOf(batch);
  expect(results[0]).toMatchObject({ jobId, batchIndex: 0, worker: 'worker-test-0', scored: [[0, 4]] });
  const last = results.at(-1);
  expect(last?.scored).toEqual([
    [0, 5],
    [6, 8],
  ]);
  expect(last?.failed).toMatchObject([{ kind: 'inference', frames: [[5, 6]] }]);
  expect(results.reduce((sum, { framesRun }) => sum + framesRun, 0)).toBe(7);
  const { blobs } = fixture.storage;
  const record = await blobs.get('scored', failedFrameBlob(firstSplit(jobId), 5));
  expect(decodeFailedFrame(String(record))).toMatchObject({
    frameIndex: 5,
    kind: 'inference',
    attempts: 3,
    worker: 'worker-test-0',
  });
  const { segments } = await listOutcomes(blobs, firstSplit(jobId));
  expect(segments.map((segment) => [segment.frames, segment.failed])).toEqual([
    [[0, 4], []],
    [[4, 8], [5]],
  ]);
  await fixture.queueIsEmpty();
  const [entry, ...others] = await fixture.takePoison();
  expect(others).toEqual([]);
  expect(entry).toMatchObject({
    reason: 'inference',
    batch: { jobId, model, frames: [[5, 6]] },
    attempts: 3,
  });
  const { history: _history, ...fields } = batch;
  expect(decodeMessage(entry?.body ?? '', batchMessage)).toMatchObject({ kind: 'valid', message: fields });
});

test.each(['missing', 'damaged', 'too short'] as const)(
  'a batch whose piece is %s is tried again and then reported as a mismatch, without a failed frame',
  async (fault) => {
    const jobId = `job-${fault.replaceAll(' ', '-')}`;
    const stored = await fixture.storeBatch(jobId, frames(8));
    const batch: BatchMessage =
      fault === 'too short' ? { ...stored, frameEnd: 12, pieces: [[0, 12]] } : stored;
    const piece = pieceBlob(batch, 0, batch.pieceFormat);
    if (fault === 'missing') await fixture.storage.blobs.remove('pieces', piece);
    if (fault === 'damaged') await fixture.storage.blobs.put('pieces', piece, 'not a picture');
    await fixture.send(batch);
    const worker = fixture.startWorker();
    const passedOn = await fixture.nextResult();
    expect(passedOn.mismatch).toBeUndefined();
    expect(passedOn.delaySeconds).toBeGreaterThan(0);
    const { mismatch, failed } = await fixture.nextResult();
    expect(mismatch).toContain(piece);
    expect(failed).toEqual([]);
    await fixture.queueIsEmpty();
    await fixture.stopWorkers();
    expect(await fixture.takePoison()).toEqual([]);
    expect(countIn(worker.heard(), 'delivery ended')).toBe(2);
    expect(countIn(worker.heard(), 'engine started')).toBe(1);
  },
);

test('the job’s log has a line for each frame of a delivery, with its stage times', async () => {
  const kinds: TestFrame[] = [...frames(2), 'error', 'ordinary'];
  const batch = await fixture.storeBatch('job-2', kinds, { segmentFrames: 2 });
  await fixture.send(batch);
  const worker = fixture.startWorker({ FRAMEFLEET_VM_ID: 'logging' });
  await fixture.resultsOf(batch);
  const lines = await eventually('all deliveries are logged', async () => {
    const text = await fixture.storage.blobs.get('logs', frameLogBlob('job-2', 'logging-0'));
    const found = (text?.toString('utf8') ?? '').trimEnd().split('\n');
    return found.length === 6 ? found.map((line) => JSON.parse(line) as Record<string, unknown>) : undefined;
  });
  const later = expect.any(Number) as number;
  // The segment of frames 2 and 3 is not stored before frame 2 is given up.
  expect(lines.map(({ frame, delivery, outcome }) => [frame, delivery, outcome])).toEqual([
    [0, 1, 'stored'],
    [1, 1, 'stored'],
    [2, 1, 'failed'],
    [2, later, 'failed'],
    [2, later, 'failed'],
    [3, later, 'stored'],
  ]);
  expect(lines[0]).toMatchObject({ jobId: 'job-2', seconds: { decode: expect.any(Number) as number } });
  expect(lines[2]).toMatchObject({
    kind: 'inference',
    message: expect.stringMatching(/out of (data )?bound/),
  });
  expect(worker.heard()).toContain('"frame":3');
});

test('a worker reports the progress of a batch: stored segments, and how many frames are underway', async () => {
  const kinds: TestFrame[] = [...frames(6), 'hang', 'ordinary'];
  await fixture.send(await fixture.storeBatch('job-long', kinds));
  const worker = fixture.startWorker({ FRAMEFLEET_STUCK_SECONDS: '300' });
  const report = await eventually('a segment and two more frames are scored', async () => {
    const next = await fixture.nextReport();
    return next.scored.length > 0 && next.underway === 2 ? next : undefined;
  });
  expect(report).toMatchObject({ scored: [[0, 4]], failed: [], framesRun: 0, wallSeconds: 0 });
  worker.child.kill('SIGKILL');
  await worker.end;
});

test('a malformed message is moved to the poison queue and does not affect later batches', async () => {
  const garbage = [
    'not base64 at all',
    Buffer.from('{"version":1}').toString('base64'),
    Buffer.from('[]').toString('base64'),
  ];
  for (const text of garbage) await fixture.batches.send(text);
  const batch = await fixture.storeBatch('job-3', frames(2));
  await fixture.send(batch);
  fixture.startWorker();
  expect(countOf((await fixture.nextResult()).scored)).toBe(2);
  await fixture.queueIsEmpty();
  const entries = await fixture.takePoison();
  const byText = (a: string, b: string) => a.localeCompare(b);
  expect(entries.map(({ body }) => body ?? '').toSorted(byText)).toEqual(garbage.toSorted(byText));
  for (const entry of entries) {
    expect(entry).toMatchObject({ reason: 'malformed', batch: null, attempts: 0, dequeueCount: 1 });
    expect(entry.message).not.toBe('');
  }
});

test('a message with a newer version is left for a newer worker', async () => {
  const newer = Buffer.from(JSON.stringify({ ...buildBatch(), version: MESSAGE_VERSION + 1 })).toString(
    'base64',
  );
  await fixture.batches.send(newer);
  const worker = fixture.startWorker();
  await worker.said('newer version');
  expect(await fixture.batches.countApprox()).toBe(1);
  expect(await fixture.batches.receive({ visibilityTimeoutSeconds: 1 })).toBeUndefined();
});

test('a worker releases its batch at once when it receives SIGTERM, and no count rises', async () => {
  const batch = await fixture.storeBatch('job-4', frames(100, 'steady'));
  await fixture.send(batch);
  const worker = fixture.startWorker({ FRAMEFLEET_LEASE_SECONDS: '60' });
  // Not only in storage: the worker knows of the segment, too.
  await eventually('a segment is reported', async () => (await fixture.nextReport()).scored.length > 0);
  worker.child.kill('SIGTERM');
  expect((await worker.end).status).toBe(0);

  const message = await eventually('the batch is visible', () =>
    fixture.batches.receive({ visibilityTimeoutSeconds: 60 }),
  );
  const { scored } = await fixture.nextResult();
  expect(countOf(scored)).toBeGreaterThan(0);
  expect(countOf(scored)).toBeLessThan(100);
  expect(decodeMessage(message.text, batchMessage)).toMatchObject({
    kind: 'valid',
    message: {
      frameStart: 0,
      frameEnd: 100,
      history: { releases: 1, deliveries: 1, barren: 0, resolved: countOf(scored) },
    },
  });
});
