/** A worker with a drain request in `control`, idle or busy, and the heartbeats that it sends meanwhile. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { drainBlob, heartbeatBlob } from '../../../shared/contract/blob-names.ts';
import { type Heartbeat, heartbeatFrom } from '../../../shared/contract/heartbeat.ts';
import { countOf } from '../../../shared/contract/ranges.ts';
import { eventually } from '../../support/eventually.ts';
import { WorkerFixture, countIn } from '../../support/worker-fixture.ts';

let fixture: WorkerFixture;
let machines = 0;
let vmId = '';

beforeAll(async () => {
  fixture = await WorkerFixture.open();
});
afterEach(async () => {
  await fixture.stopWorkers();
  await fixture.clear();
});
afterAll(() => fixture[Symbol.asyncDispose]());

function startMachine(environment: Readonly<Record<string, string>> = {}) {
  machines += 1;
  vmId = `drain-${process.pid}-${machines}`;
  return fixture.startWorker({ FRAMEFLEET_VM_ID: vmId, ...environment });
}

async function heartbeat(wanted: Partial<Heartbeat>): Promise<Heartbeat> {
  return eventually(`the heartbeat says ${JSON.stringify(wanted)}`, async () => {
    const stat = await fixture.storage.blobs.stat('workers', heartbeatBlob(`${vmId}-0`));
    const beat = heartbeatFrom(stat?.metadata ?? {});
    const matches = Object.entries(wanted).every(([key, value]) => beat?.[key as keyof Heartbeat] === value);
    return matches ? beat : undefined;
  });
}

async function requestDrain(): Promise<string> {
  await fixture.storage.blobs.put('control', drainBlob(vmId), '');
  return (await fixture.storage.blobs.stat('control', drainBlob(vmId)))?.etag ?? '';
}

test('an idle worker drains at once on a request, quotes its etag, receives nothing more, and keeps running', async () => {
  const worker = startMachine();
  const idle = await heartbeat({ state: 'idle' });
  expect(idle).toMatchObject({ executionProvider: 'cpu', drainEtag: null, isTooOld: false });
  const etag = await requestDrain();
  const drained = await heartbeat({ state: 'drained', drainEtag: etag });
  const batch = await fixture.storeBatch('job-untaken', ['ordinary']);
  await fixture.send(batch);
  // Heartbeats continue, but the worker does not poll the queue: the message is as it was sent.
  await heartbeat({ state: 'drained', sequence: drained.sequence + 2 });
  expect((await fixture.batches.receive({ visibilityTimeoutSeconds: 1 }))?.dequeueCount).toBe(1);
  expect(worker.child.exitCode).toBeNull();

  const again = await requestDrain();
  expect(again).not.toBe(etag);
  await heartbeat({ state: 'drained', drainEtag: again });
  worker.child.kill('SIGTERM');
  expect((await worker.end).status).toBe(0);
});

test('a busy worker finishes its batch before it is drained', async () => {
  const worker = startMachine();
  const batch = await fixture.storeBatch(
    'job-finished',
    Array.from({ length: 20 }, () => 'steady' as const),
  );
  await fixture.send(batch);
  await heartbeat({ state: 'busy', jobId: 'job-finished' });
  const etag = await requestDrain();
  const [result, ...others] = await fixture.resultsOf(batch);
  expect(others).toEqual([]);
  expect(countOf(result?.scored ?? [])).toBe(20);
  await heartbeat({ state: 'drained', drainEtag: etag });
  await fixture.queueIsEmpty();
  expect(countIn(worker.heard(), '"settled":"complete"')).toBe(1);
});

test('a worker that finds a drain request at its start receives nothing', async () => {
  machines += 1;
  vmId = `drain-${process.pid}-${machines}`;
  const etag = await requestDrain();
  await fixture.send(await fixture.storeBatch('job-never', ['ordinary']));
  fixture.startWorker({ FRAMEFLEET_VM_ID: vmId });
  await heartbeat({ state: 'drained', drainEtag: etag });
  expect((await fixture.batches.receive({ visibilityTimeoutSeconds: 1 }))?.dequeueCount).toBe(1);
});

test('the metrics show the execution provider, and a worker without a usable provider exits with a hint', async () => {
  const worker = startMachine({ FRAMEFLEET_EXECUTION_PROVIDERS: 'cuda,cpu' });
  await worker.said('service ready');
  const port = /"port":(\d+)/.exec(worker.heard())?.[1];
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  expect(metrics).toContain('framefleet_worker_execution_provider_info{provider="cpu"} 1');
  expect(metrics).toContain('framefleet_worker_poison_total{reason="malformed"} 0');
  const strict = startMachine({ FRAMEFLEET_EXECUTION_PROVIDERS: 'cuda' });
  const { status } = await strict.end;
  expect(status).toBe(70);
  expect(strict.heard()).toContain('cuda');
  expect(strict.heard()).toContain('FRAMEFLEET_EXECUTION_PROVIDERS');
});

test('a second worker for the same GPU is refused, and the first is not affected', async () => {
  startMachine();
  await heartbeat({ state: 'idle' });
  const second = fixture.startWorker({ FRAMEFLEET_VM_ID: vmId });
  const { status } = await second.end;
  expect(status).toBe(64);
  expect(second.heard()).toContain(`A worker named ${vmId}-0 is already running on this machine.`);
  const batch = await fixture.storeBatch('job-first', ['ordinary']);
  await fixture.send(batch);
  expect(countOf((await fixture.resultsOf(batch))[0]?.scored ?? [])).toBe(1);
});
