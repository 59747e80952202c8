/** Batches of cancelled and paused jobs at a worker: dropped before they start, or in the middle. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { controlBlob } from '../../../shared/contract/blob-names.ts';
import { type JobControl, encodeJobControl } from '../../../shared/contract/job-control.ts';
import { eventually } from '../../support/eventually.ts';
import { WorkerFixture } from '../../support/worker-fixture.ts';

/** Half a minute of work, so that the worker looks at the control while it runs. */
const SLOW = Array.from({ length: 64 }, () => 'slow' as const);

let fixture: WorkerFixture;

beforeAll(async () => {
  fixture = await WorkerFixture.open();
});
afterEach(async () => {
  await fixture.stopWorkers();
  await fixture.clear();
});
afterAll(() => fixture[Symbol.asyncDispose]());

async function control(jobId: string, order: JobControl['order']): Promise<void> {
  const text = encodeJobControl({ version: 1, jobId, order, pauses: 0, setAt: new Date().toISOString() });
  await fixture.storage.blobs.put('control', controlBlob(jobId), text);
}

test('a batch whose job is cancelled is dropped in the middle, and keeps what is stored', async () => {
  const batch = await fixture.storeBatch('job-stopped', SLOW);
  const worker = fixture.startWorker();
  await fixture.send(batch);
  await eventually('a segment is stored', async () => (await fixture.countScored(batch.jobId)) > 0);
  await control(batch.jobId, 'cancel');
  await fixture.queueIsEmpty();
  const stored = await fixture.etags(batch.jobId);
  expect(await fixture.countScored(batch.jobId)).toBeLessThan(SLOW.length);
  expect(worker.heard()).toContain('"settled":"drop"');
  // Another job runs, and nothing more of the first is stored meanwhile.
  const other = await fixture.storeBatch('job-other', ['ordinary', 'ordinary']);
  await fixture.send(other);
  await eventually('the other job is scored', async () => (await fixture.countScored(other.jobId)) === 2);
  expect(await fixture.etags(batch.jobId)).toEqual(stored);
});

test.each(['cancel', 'pause'] as const)(
  'a batch of a job with the order %s does not start',
  async (order) => {
    const batch = await fixture.storeBatch(`job-${order}`, ['ordinary', 'ordinary']);
    await control(batch.jobId, order);
    const worker = fixture.startWorker();
    await fixture.send(batch);
    await fixture.queueIsEmpty();
    expect(worker.heard()).toContain('batch dropped');
    expect(await fixture.countScored(batch.jobId)).toBe(0);
    expect(await fixture.takePoison()).toEqual([]);
  },
);
