/** Workers that lose their lease or are paused beyond it, and engines that stall: one result, and no stored byte changes. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import type { BatchMessage } from '../../shared/contract/messages.ts';
import { countOf } from '../../shared/contract/ranges.ts';
import { systemClock } from '../../shared/runtime/clock.ts';
import type { RunningCommand } from '../support/commands.ts';
import { eventually } from '../support/eventually.ts';
import { inForm } from '../support/fault-form.ts';
import { type StorageProxy, slowSegments, startStorageProxy } from '../support/storage-proxy.ts';
import { WorkerFixture, countIn, enginePid } from '../support/worker-fixture.ts';

const LEASE_SECONDS = 6;
const FRAMES = Array.from({ length: 90 }, () => 'ordinary' as const);
/** The batch has 23 segments, so it takes about ten seconds: longer than a lease. */
const SLOW = slowSegments(450);

let fixture: WorkerFixture;
/** The way of the first worker to storage. */
let proxy: StorageProxy;

beforeAll(async () => {
  fixture = await WorkerFixture.open();
  proxy = await startStorageProxy(fixture.storage, { faults: SLOW });
});
afterEach(async () => {
  proxy.faults = SLOW;
  await fixture.stopWorkers();
  await fixture.clear();
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await fixture[Symbol.asyncDispose]();
});

/** Sends a batch and waits until a worker has stored a segment of it. */
async function startedOn(
  jobId: string,
  {
    stuckSeconds = 300,
    leaseSeconds = LEASE_SECONDS,
  }: { readonly stuckSeconds?: number; readonly leaseSeconds?: number } = {},
) {
  const batch = await fixture.storeBatch(jobId, FRAMES);
  await fixture.send(batch);
  const environment = {
    FRAMEFLEET_LEASE_SECONDS: String(leaseSeconds),
    FRAMEFLEET_STUCK_SECONDS: String(stuckSeconds),
  };
  const worker = fixture.startWorker(environment, proxy.connection);
  await eventually('a segment is stored', async () => (await fixture.countScored(jobId)) > 0);
  return { batch, worker };
}

/** Starts another worker that completes the batch. Returns the etags of what is stored then. */
async function completedByAnother(
  batch: BatchMessage,
): Promise<{ etags: Map<string, string>; other: RunningCommand }> {
  const other = fixture.startWorker({ FRAMEFLEET_LEASE_SECONDS: String(LEASE_SECONDS) });
  const results = await fixture.resultsOf(batch);
  expect(results).toHaveLength(1);
  expect(countOf(results[0]?.scored ?? [])).toBe(FRAMES.length);
  await fixture.queueIsEmpty();
  return { etags: await fixture.etags(batch.jobId), other };
}

async function expectNothingMore(batch: BatchMessage, etags: Map<string, string>): Promise<void> {
  expect(await fixture.results.countApprox()).toBe(0);
  expect(await fixture.etags(batch.jobId)).toEqual(etags);
  expect(await fixture.takePoison()).toEqual([]);
}

/** The first worker still works: it completes the next batch alone. */
async function worksOn(jobId: string, worker: RunningCommand, other: RunningCommand): Promise<void> {
  other.child.kill('SIGTERM');
  await other.end;
  const next = await fixture.storeBatch(jobId, ['ordinary', 'ordinary']);
  await fixture.send(next);
  const [result] = await fixture.resultsOf(next);
  expect(countOf(result?.scored ?? [])).toBe(2);
  await fixture.queueIsEmpty();
  expect(worker.child.exitCode).toBeNull();
}

test('a worker whose lease cannot be renewed loses the batch to another and does not touch it again', async () => {
  const { batch, worker } = await startedOn('job-lost');
  proxy.faults = (request) => (request.operation === 'update' ? { kind: 'reset' } : SLOW(request));
  await worker.said('lease lost');
  proxy.faults = SLOW;
  await worker.said('"settled":"leave"');
  const stored = await fixture.etags(batch.jobId);
  const { etags, other } = await completedByAnother(batch);
  // The segments that the first worker stored are unchanged.
  expect([...stored].every(([name, etag]) => etags.get(name) === etag)).toBe(true);
  expect(stored.size).toBeLessThan(etags.size);
  await expectNothingMore(batch, etags);
  await worksOn('job-lost-next', worker, other);
});

test('a worker that is paused beyond its lease changes nothing when it resumes', async () => {
  const { batch, worker } = await startedOn('job-asleep');
  const pids = [worker.child.pid ?? 0, enginePid(worker)];
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  const { etags, other } = await completedByAnother(batch);
  for (const pid of pids.toReversed()) process.kill(pid, 'SIGCONT');
  await worker.said('"settled":"leave"');
  expect(countIn(worker.heard(), 'lease lost')).toBe(1);
  await expectNothingMore(batch, etags);
  await worksOn('job-asleep-next', worker, other);
});

test('a worker keeps its batch while its engine stalls for several leases', async () => {
  const leases = inForm({ short: 2, long: 10 });
  // Long enough that none is lost because other work holds the cores.
  const leaseSeconds = 15;
  const { batch, worker } = await startedOn('job-stalled', {
    stuckSeconds: 2 * leases * leaseSeconds,
    leaseSeconds,
  });
  const other = fixture.startWorker({ FRAMEFLEET_LEASE_SECONDS: String(leaseSeconds) });
  await other.said('service ready');
  const engine = enginePid(worker);
  process.kill(engine, 'SIGSTOP');
  await systemClock.sleep(leases * leaseSeconds * 1000);
  process.kill(engine, 'SIGCONT');
  const [result, ...others] = await fixture.resultsOf(batch);
  expect(others).toEqual([]);
  expect(result?.framesRun).toBe(FRAMES.length);
  await fixture.queueIsEmpty();
  await fixture.stopWorkers();
  expect(countIn(other.heard(), 'delivery ended')).toBe(0);
  expect(countIn(worker.heard(), 'delivery ended')).toBe(1);
  expect(countIn(worker.heard(), 'engine started')).toBe(1);
});
