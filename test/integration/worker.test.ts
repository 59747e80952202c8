/** A real worker with its engine, on real storage: what it does with each kind of message, and when it is told to go. */
import { rm } from 'node:fs/promises';
import path from 'node:path';

import sharp from 'sharp';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { publishModels } from '../../infra/local/publish-models.ts';
import { type WorkQueue, openWorkQueue } from '../../shared/azure/work-queue.ts';
import { failedFrameBlob, frameBlob, frameLogBlob, modelBlob } from '../../shared/contract/blob-names.ts';
import { decodeFailedFrame } from '../../shared/contract/failed-frame.ts';
import {
  type BatchMessage,
  batchMessage,
  decodeMessage,
  encodeMessage,
  poisonMessage,
  resultMessage,
} from '../../shared/contract/messages.ts';
import { countOf } from '../../shared/contract/ranges.ts';
import { QUEUES } from '../../shared/contract/storage-layout.ts';
import { buildBatch } from '../support/build-batch.ts';
import { type RunningCommand, startService } from '../support/commands.ts';
import { eventually } from '../support/eventually.ts';
import { writeIdentityModel } from '../support/identity-model.ts';
import { type TestStorage, startTestStorage, testFolder } from '../support/servers.ts';

let folder = '';
let storage: TestStorage;
let queues: Record<'batches' | 'results' | 'poison', WorkQueue>;
let model: BatchMessage['model'];
let worker: RunningCommand | undefined;
let jobs = 0;

beforeAll(async () => {
  folder = await testFolder();
  storage = await startTestStorage();
  const open = (name: (typeof QUEUES)[keyof typeof QUEUES]) => openWorkQueue(storage.accounts.system, name);
  const [batches, results, poison] = await Promise.all([
    open(QUEUES.frameBatches),
    open(QUEUES.batchResults),
    open(QUEUES.frameBatchesPoison),
  ]);
  queues = { batches, results, poison };
  await writeIdentityModel(path.join(folder, 'models'));
  await publishModels({ blobs: storage.blobs, folder: path.join(folder, 'models') });
  const manifest = await storage.blobs.get(
    'models',
    modelBlob({ name: 'identity', version: '1' }, 'model.json'),
  );
  const { sha256 } = JSON.parse(String(manifest)) as { sha256: string };
  model = { name: 'identity', version: '1', sha256 };
});
afterAll(async () => {
  await storage[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

beforeEach(() => {
  jobs += 1;
  return async () => {
    worker?.child.kill('SIGTERM');
    await worker?.end;
    worker = undefined;
  };
});

function startWorker(): void {
  worker = startService('worker', {
    localFolder: folder,
    environment: {
      FRAMEFLEET_MEDIA_STORAGE: storage.connection.media,
      FRAMEFLEET_SYSTEM_STORAGE: storage.connection.system,
      FRAMEFLEET_MODEL_CACHE: path.join(folder, 'cache'),
      FRAMEFLEET_VM_ID: 'test-vm',
      FRAMEFLEET_IDLE_POLL_SECONDS_MAX: '0.5',
      FRAMEFLEET_FRAMES_IN_FLIGHT: '2',
    },
  });
}

/** A batch with its frames in storage, in a job of its own. */
async function storeBatch(frames: number, size = 32): Promise<BatchMessage> {
  const batch = buildBatch({
    jobId: `job-${jobs}`,
    batchIndex: 0,
    frameStart: 0,
    frameEnd: frames,
    model,
    parameters: {},
  });
  const create = { width: size, height: size, channels: 3, background: '#48a' } as const;
  const jpeg = await sharp({ create }).jpeg().toBuffer();
  for (let index = 0; index < frames; index += 1)
    await storage.blobs.put('frames', frameBlob(batch.jobId, index), jpeg);
  return batch;
}

async function nextResult() {
  const message = await eventually('a result comes', () =>
    queues.results.receive({ visibilityTimeoutSeconds: 60 }),
  );
  await queues.results.remove(message);
  const decoded = decodeMessage(message.text, resultMessage);
  if (decoded.kind !== 'valid') throw new Error('expected a valid result');
  return decoded.message;
}

async function queueIsEmpty(): Promise<void> {
  await eventually('the queue is empty', async () => (await queues.batches.countApprox()) === 0);
}

test('a batch is scored, told and deleted, and a frame that cannot be decoded fails alone', async () => {
  const batch = await storeBatch(8);
  await storage.blobs.put('frames', frameBlob(batch.jobId, 5), 'this is no picture');
  await queues.batches.send(encodeMessage(batch));
  startWorker();
  const result = await nextResult();
  expect(result).toMatchObject({ jobId: batch.jobId, batchIndex: 0, worker: 'test-vm-0', framesRun: 7 });
  expect(result.scored).toEqual([
    [0, 5],
    [6, 8],
  ]);
  expect(result.failed).toMatchObject([{ kind: 'undecodable', frames: [[5, 6]] }]);
  const failed = decodeFailedFrame(
    String(await storage.blobs.get('scored', failedFrameBlob(batch.jobId, 5))),
  );
  expect(failed).toMatchObject({
    frameIndex: 5,
    kind: 'undecodable',
    attempts: 1,
    worker: 'test-vm-0',
    model,
  });
  await queueIsEmpty();
  const entry = await eventually('an entry in poison', () =>
    queues.poison.receive({ visibilityTimeoutSeconds: 60 }),
  );
  expect(decodeMessage(entry.text, poisonMessage)).toMatchObject({
    kind: 'valid',
    message: {
      reason: 'undecodable',
      batch: { jobId: batch.jobId, batchIndex: 0, model, frames: [[5, 6]] },
      attempts: 1,
      body: encodeMessage(batch),
    },
  });
  await queues.poison.remove(entry);
  const lines = await eventually('the frames are logged', async () => {
    const text = await storage.blobs.get('logs', frameLogBlob(batch.jobId, 'test-vm-0'));
    return text?.toString('utf8').trimEnd().split('\n');
  });
  expect(lines).toHaveLength(8);
  expect(JSON.parse(lines[5] ?? '')).toMatchObject({
    jobId: batch.jobId,
    frame: 5,
    attempt: 1,
    outcome: 'failed',
    kind: 'undecodable',
  });
  expect(JSON.parse(lines[4] ?? '')).toMatchObject({
    frame: 4,
    outcome: 'stored',
    seconds: { decode: expect.any(Number) },
  });
});

test('what is no batch goes to poison with its reason, and a batch behind it is none the worse', async () => {
  const garbage = [
    'not base64 at all',
    Buffer.from('{"version":1}').toString('base64'),
    Buffer.from('[]').toString('base64'),
  ];
  for (const text of garbage) await queues.batches.send(text);
  const batch = await storeBatch(2);
  await queues.batches.send(encodeMessage(batch));
  startWorker();
  expect(countOf((await nextResult()).scored)).toBe(2);
  await queueIsEmpty();
  const bodies: string[] = [];
  for (const _ of garbage) {
    const message = await eventually('a message in poison', () =>
      queues.poison.receive({ visibilityTimeoutSeconds: 60 }),
    );
    const decoded = decodeMessage(message.text, poisonMessage);
    if (decoded.kind !== 'valid') throw new Error('expected a valid entry');
    expect(decoded.message).toMatchObject({ reason: 'malformed', batch: null, worker: 'test-vm-0' });
    expect(decoded.message.message).not.toBe('');
    bodies.push(decoded.message.body ?? '');
  }
  expect(bodies.toSorted()).toEqual(garbage.toSorted());
});

test('a message for a newer worker is left for it', async () => {
  const newer = Buffer.from(JSON.stringify({ ...buildBatch(), version: 2 })).toString('base64');
  await queues.batches.send(newer);
  startWorker();
  await worker?.said('newer version');
  expect(await queues.batches.countApprox()).toBe(1);
  expect(await queues.batches.receive({ visibilityTimeoutSeconds: 1 })).toBeUndefined();
});

test('a worker that is told to go releases what it has not done, at once and uncharged', async () => {
  const batch = await storeBatch(200, 256);
  await queues.batches.send(encodeMessage(batch));
  startWorker();
  await eventually('a few frames are scored', async () => {
    for await (const _ of storage.blobs.list('scored', { prefix: `${batch.jobId}/` })) return true;
    return false;
  });
  worker?.child.kill('SIGTERM');
  expect((await worker?.end)?.status).toBe(0);

  const released = await eventually('the batch is visible', async () => {
    const message = await queues.batches.receive({ visibilityTimeoutSeconds: 60 });
    const decoded = message === undefined ? undefined : decodeMessage(message.text, batchMessage);
    return decoded?.kind === 'valid' && decoded.message.jobId === batch.jobId ? decoded.message : undefined;
  });
  expect(released).toMatchObject({ frameStart: 0, frameEnd: 200, history: { releases: 1, barren: 0 } });
  const { scored } = await nextResult();
  expect(countOf(scored)).toBeGreaterThan(0);
  expect(countOf(scored)).toBeLessThan(200);
});
