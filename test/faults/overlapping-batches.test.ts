/**
 * A worker receives a batch while the last segment of the one before is still being stored. Then a third batch or a drain request comes, or
 * the worker is stopped or killed, or its engine is: each batch is settled as if it were alone.
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';

import { drainBlob, heartbeatBlob } from '../../shared/contract/blob-names.ts';
import { heartbeatFrom } from '../../shared/contract/heartbeat.ts';
import type { BatchMessage } from '../../shared/contract/messages.ts';
import { collectResults } from '../support/collect-results.ts';
import type { RunningCommand } from '../support/commands.ts';
import { eventually } from '../support/eventually.ts';
import { NO_FAULTS, type StorageProxy, startStorageProxy } from '../support/storage-proxy.ts';
import { type TestFrame, WorkerFixture, countIn, enginePid } from '../support/worker-fixture.ts';

const VM_ID = 'vm-overlap';
const FIRST: readonly TestFrame[] = ['ordinary', 'ordinary', 'ordinary', 'ordinary'];
/** Long enough to be interrupted. */
const SECOND: readonly TestFrame[] = Array.from({ length: 20 }, () => 'steady' as const);

let fixture: WorkerFixture;
let proxy: StorageProxy;
let batches: BatchMessage[];
let tests = 0;
/** Ends the wait of the first batch's segment. */
let letStore: () => void;

beforeAll(async () => {
  fixture = await WorkerFixture.open();
  proxy = await startStorageProxy(fixture.storage);
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await fixture[Symbol.asyncDispose]();
});
beforeEach(async () => {
  tests += 1;
  batches = [];
  for (const [index, frames] of [FIRST, SECOND, FIRST].entries())
    batches.push(await fixture.storeBatch(`job-${tests}-${index}`, frames));
  const held = Promise.withResolvers<void>();
  letStore = held.resolve;
  const path = `/scored/job-${tests}-0/`;
  let isHeld = false;
  proxy.faults = (request) => {
    const isFirst =
      request.operation === 'put' && request.path.includes(path) && request.path.endsWith('.mp4');
    if (!isFirst || isHeld) return undefined;
    isHeld = true;
    return { kind: 'hold', until: held.promise };
  };
});
afterEach(async () => {
  letStore();
  proxy.faults = NO_FAULTS;
  await fixture.stopWorkers();
  await fixture.clear();
});

/** A worker whose first batch is being stored and whose second one is being scored. Its storage calls wait patiently. */
async function overlapping(): Promise<RunningCommand> {
  const worker = fixture.startWorker(
    { FRAMEFLEET_LEASE_SECONDS: '60', FRAMEFLEET_VM_ID: VM_ID },
    proxy.connection,
  );
  for (const batch of batches) await fixture.send(batch);
  await eventually('two batches are received', () => countIn(worker.heard(), 'batch received') === 2);
  await eventually('the second one is stored in part', async () =>
    fixture.countScored(`job-${tests}-1`).then((count) => count > 0),
  );
  expect(countIn(worker.heard(), 'delivery ended')).toBe(0);
  return worker;
}

/** Each batch has all its frames, once, and nothing was poisoned. */
async function allAreScored(): Promise<void> {
  const results = await collectResults(fixture, batches);
  await fixture.queueIsEmpty();
  for (const batch of batches) {
    const ofBatch = results.get(batch.jobId) ?? [];
    expect(ofBatch.flatMap(({ failed }) => failed)).toEqual([]);
    expect((await fixture.scored(batch.jobId)).size).toBe(batch.frameEnd);
  }
  expect(await fixture.takePoison()).toEqual([]);
}

test('a third batch is not received before the first one is settled', async () => {
  const worker = await overlapping();
  await worker.said(`"jobId":"job-${tests}-1"`);
  await eventually(
    'the second batch is scored',
    async () => (await fixture.countScored(`job-${tests}-1`)) === 20,
  );
  expect(countIn(worker.heard(), 'batch received')).toBe(2);
  letStore();
  await allAreScored();
  expect(countIn(worker.heard(), 'engine started')).toBe(1);
});

test('a worker is drained once both batches are settled, and the third one stays on the queue', async () => {
  await overlapping();
  await fixture.storage.blobs.put('control', drainBlob(VM_ID), '');
  await eventually(
    'the second batch is scored',
    async () => (await fixture.countScored(`job-${tests}-1`)) === 20,
  );
  const state = async () => {
    const stat = await fixture.storage.blobs.stat('workers', heartbeatBlob(`${VM_ID}-0`));
    return heartbeatFrom(stat?.metadata ?? {})?.state;
  };
  expect(await state()).not.toBe('drained');
  letStore();
  await eventually('the worker is drained', async () => (await state()) === 'drained');
  expect(await fixture.batches.countApprox()).toBe(1);
  await fixture.storage.blobs.remove('control', drainBlob(VM_ID));
  const third = await fixture.batches.receive({ visibilityTimeoutSeconds: 1 });
  expect(third?.dequeueCount).toBe(1);
});

test('SIGTERM releases both batches at once, and another worker completes them', async () => {
  const worker = await overlapping();
  worker.child.kill('SIGTERM');
  letStore();
  expect((await worker.end).status).toBe(0);
  fixture.startWorker({ FRAMEFLEET_LEASE_SECONDS: '60' });
  await allAreScored();
});

test('if the engine dies, both batches complete with the next engine', async () => {
  const worker = await overlapping();
  process.kill(enginePid(worker), 'SIGKILL');
  letStore();
  await allAreScored();
  expect(countIn(worker.heard(), 'engine started')).toBe(2);
});

test('if the worker dies, another one completes both batches', async () => {
  const worker = fixture.startWorker({ FRAMEFLEET_VM_ID: VM_ID }, proxy.connection);
  for (const batch of batches) await fixture.send(batch);
  await eventually('two batches are received', () => countIn(worker.heard(), 'batch received') === 2);
  worker.child.kill('SIGKILL');
  await worker.end;
  letStore();
  fixture.startWorker();
  await allAreScored();
});
