/** A real worker with its engine on real storage: each kind of message, and SIGTERM. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { failedFrameBlob, frameLogBlob } from '../../../shared/contract/blob-names.ts';
import { decodeFailedFrame } from '../../../shared/contract/failed-frame.ts';
import { batchMessage, decodeMessage, encodeMessage } from '../../../shared/contract/messages.ts';
import { countOf } from '../../../shared/contract/ranges.ts';
import { buildBatch } from '../../support/build-batch.ts';
import { eventually } from '../../support/eventually.ts';
import { type TestFrame, WorkerFixture } from '../../support/worker-fixture.ts';

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

test('a batch is scored, reported and deleted, and an undecodable frame fails alone', async () => {
  const batch = await fixture.storeBatch('job-1', [...frames(5), 'undecodable', ...frames(2)]);
  const { jobId, model } = batch;
  await fixture.send(batch);
  fixture.startWorker({ FRAMEFLEET_VM_ID: 'worker-test' });
  const result = await fixture.nextResult();
  expect(result).toMatchObject({ jobId, batchIndex: 0, worker: 'worker-test-0', framesRun: 7 });
  expect(result.scored).toEqual([
    [0, 5],
    [6, 8],
  ]);
  expect(result.failed).toMatchObject([{ kind: 'undecodable', frames: [[5, 6]] }]);
  const failed = decodeFailedFrame(
    String(await fixture.storage.blobs.get('scored', failedFrameBlob(jobId, 5))),
  );
  expect(failed).toMatchObject({ frameIndex: 5, kind: 'undecodable', attempts: 1, worker: 'worker-test-0' });
  await fixture.queueIsEmpty();
  const body = encodeMessage(batch);
  expect(await fixture.takePoison()).toMatchObject([
    { reason: 'undecodable', batch: { jobId, model, frames: [[5, 6]] }, attempts: 1, body },
  ]);
});

test('the job’s log has a line for each frame of a delivery, with its stage times', async () => {
  const batch = await fixture.storeBatch('job-2', [...frames(2), 'missing', 'ordinary']);
  await fixture.send(batch);
  const worker = fixture.startWorker({ FRAMEFLEET_VM_ID: 'logging' });
  await fixture.resultsOf(batch);
  const lines = await eventually('both deliveries are logged', async () => {
    const text = await fixture.storage.blobs.get('logs', frameLogBlob('job-2', 'logging-0'));
    const found = (text?.toString('utf8') ?? '').trimEnd().split('\n');
    return found.length === 5 ? found.map((line) => JSON.parse(line) as Record<string, unknown>) : undefined;
  });
  expect(lines.map(({ frame, attempt, outcome }) => [frame, attempt, outcome])).toEqual([
    [0, 1, 'stored'],
    [1, 1, 'stored'],
    [2, 1, 'failed'],
    [3, 1, 'stored'],
    [2, expect.any(Number), 'failed'],
  ]);
  expect(lines[0]).toMatchObject({ jobId: 'job-2', seconds: { decode: expect.any(Number) as number } });
  expect(lines[2]).toMatchObject({ kind: 'missing', message: 'the frame is not in storage' });
  expect(worker.heard()).toContain('"frame":3');
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
  const newer = Buffer.from(JSON.stringify({ ...buildBatch(), version: 2 })).toString('base64');
  await fixture.batches.send(newer);
  const worker = fixture.startWorker();
  await worker.said('newer version');
  expect(await fixture.batches.countApprox()).toBe(1);
  expect(await fixture.batches.receive({ visibilityTimeoutSeconds: 1 })).toBeUndefined();
});

test('a worker releases its batch at once when it receives SIGTERM, and no count rises', async () => {
  const batch = await fixture.storeBatch('job-4', frames(100, 'steady'));
  await fixture.send(batch);
  const worker = fixture.startWorker();
  await eventually('a few frames are scored', async () => (await fixture.countScored('job-4')) > 0);
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
