import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { recallBatches, removeEntries } from '../../../producer/jobs/sift-queue.ts';
import { storageAccount } from '../../../shared/azure/credentials.ts';
import { type WorkQueue, openWorkQueue } from '../../../shared/azure/work-queue.ts';
import { poisonBodyBlob } from '../../../shared/contract/blob-names.ts';
import { batchMessage, decodeMessage, encodeMessage } from '../../../shared/contract/messages.ts';
import { QUEUES } from '../../../shared/contract/storage-layout.ts';
import { buildBatch } from '../../support/build-batch.ts';
import { buildPoison } from '../../support/build-poison.ts';
import { type TestStorage, startTestStorage } from '../../support/servers.ts';
import { silentLog } from '../../support/silent-log.ts';

let storage: TestStorage;
let batches: WorkQueue;

beforeAll(async () => {
  storage = await startTestStorage();
  batches = await openWorkQueue(storageAccount(storage.connection.system), QUEUES.frameBatches);
});
beforeEach(async () => {
  while ((await received()).length > 0);
});
afterAll(() => storage[Symbol.asyncDispose]());

/** Takes all visible messages off the queue. */
async function received() {
  const messages = await batches.receiveSeveral({ max: 32, visibilityTimeoutSeconds: 60 });
  await Promise.all(messages.map((message) => batches.remove(message)));
  return messages;
}

async function recall(...jobIds: string[]): Promise<number> {
  return recallBatches({ batches, log: silentLog }, (jobId) => jobIds.includes(jobId));
}

test('only messages of the named jobs leave the queue, and the others look as if a worker had released them', async () => {
  for (let number = 0; number < 60; number += 1)
    await batches.send(encodeMessage(buildBatch({ jobId: `job-${number % 3}`, batchIndex: number })));
  await batches.send('not a batch');
  expect(await recall('job-0', 'job-2')).toBe(40);
  const left = [...(await received()), ...(await received())];
  const kept = left.flatMap(({ text, dequeueCount }) => {
    const decoded = decodeMessage(text, batchMessage);
    return decoded.kind === 'valid' ? [{ ...decoded.message, dequeueCount }] : [];
  });
  expect(kept.map(({ jobId }) => jobId)).toEqual(Array.from({ length: 20 }, () => 'job-1'));
  expect(new Set(kept.map(({ batchIndex }) => batchIndex)).size).toBe(20);
  for (const { history, dequeueCount } of kept) {
    // Every delivery before this one is accounted for: none looks like a worker that died.
    expect(history).toMatchObject({ deliveries: dequeueCount - 1, releases: dequeueCount - 1 });
    expect(dequeueCount).toBeGreaterThan(1);
  }
  expect(left.filter(({ text }) => text === 'not a batch')).toHaveLength(1);
});

test('a message that a worker holds is left alone', async () => {
  await batches.send(encodeMessage(buildBatch({ jobId: 'job-0' })));
  const held = await batches.receive({ visibilityTimeoutSeconds: 60 });
  expect(await recall('job-0')).toBe(0);
  if (held !== undefined) await batches.remove(held);
});

test('an empty queue is left at once', async () => {
  expect(await recall('job-0')).toBe(0);
});

test('entries of the poison queue leave it by their batch, with their bodies; the others stay as they are', async () => {
  const { blobs } = storage;
  const poison = await openWorkQueue(storageAccount(storage.connection.system), QUEUES.frameBatchesPoison);
  const entry = (id: string, jobId: string, frames: readonly (readonly [number, number])[], body = '') => {
    const built = buildPoison(id, { jobId });
    const batch = built.batch && {
      ...built.batch,
      frames: frames.map(([start, end]) => [start, end] as const),
    };
    return encodeMessage({ ...built, batch, body: body === 'stored' ? null : built.body });
  };
  const kept = [
    entry('a-inference-15', 'job-0', [[14, 16]]),
    entry('b-inference-12', 'job-1', [[12, 15]]),
    encodeMessage(buildPoison('c-malformed', { batch: null, reason: 'malformed' })),
    'not an entry',
  ];
  const gone = [
    entry('d-inference-12', 'job-0', [[12, 15]]),
    entry('d-inference-12', 'job-0', [[12, 15]]),
    entry(
      'e-engine-20',
      'job-0',
      [
        [12, 13],
        [20, 21],
      ],
      'stored',
    ),
  ];
  await blobs.put('logs', poisonBodyBlob('e-engine-20'), 'a large body');
  for (const text of [...kept, ...gone]) await poison.send(text);
  const removed = await removeEntries(
    { poison, blobs },
    ({ jobId, frames }) => jobId === 'job-0' && frames[0]?.[0] === 12,
  );
  expect(removed).toBe(gone.length);
  const left = await poison.receiveSeveral({ max: 32, visibilityTimeoutSeconds: 60 });
  expect(left.map(({ text }) => text).toSorted()).toEqual(kept.toSorted());
  expect(await blobs.stat('logs', poisonBodyBlob('e-engine-20'))).toBeUndefined();
});
