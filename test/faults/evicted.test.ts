/**
 * One batch whose workers are evicted or killed one after the other, ten times in the long form. It is not poisoned, every frame is
 * scored, and only segments that were not stored yet run again.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';

import { countOf } from '../../shared/contract/ranges.ts';
import type { RunningCommand } from '../support/commands.ts';
import { eventually } from '../support/eventually.ts';
import { inForm } from '../support/fault-form.ts';
import { ScheduledEventsServer } from '../support/scheduled-events-server.ts';
import { type StorageProxy, slowSegments, startStorageProxy } from '../support/storage-proxy.ts';
import { WorkerFixture, countIn } from '../support/worker-fixture.ts';

const TIMES = inForm({ short: 3, long: 10 });
const SEGMENT = 4;
const FRAMES = inForm({ short: 96, long: 400 });
const FRAMES_STORED = Array.from({ length: FRAMES }, () => 'ordinary' as const);

let fixture: WorkerFixture;
/** A segment takes half a second: a worker is taken in the middle of the batch. */
let proxy: StorageProxy;
/** Of every segment, scored without faults: the frames are all alike. */
let hash: string | undefined;

beforeAll(async () => {
  fixture = await WorkerFixture.open();
  proxy = await startStorageProxy(fixture.storage, { faults: slowSegments(500) });
  const batch = await fixture.storeBatch('job-undisturbed', FRAMES_STORED.slice(0, SEGMENT), {
    segmentFrames: SEGMENT,
  });
  await fixture.send(batch);
  fixture.startWorker();
  await fixture.resultsOf(batch);
  hash = (await fixture.scored('job-undisturbed')).get(0);
  await fixture.stopWorkers();
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await fixture[Symbol.asyncDispose]();
});

/** It stores segments slowly. */
const startSlowWorker = (environment: Readonly<Record<string, string>>): RunningCommand =>
  fixture.startWorker(environment, proxy.connection);

async function allAreScored(jobId: string): Promise<void> {
  const scored = await fixture.scored(jobId);
  expect([...scored.keys()].toSorted((a, b) => a - b)).toEqual([...FRAMES_STORED.keys()]);
  expect(new Set(scored.values())).toEqual(new Set([hash]));
}

/** Waits until a worker has stored another segment, so that it is in the middle of the batch. */
async function madeProgress(jobId: string, before: number): Promise<void> {
  await eventually('another segment is stored', async () => {
    const scored = await fixture.countScored(jobId);
    if (scored === FRAMES) throw new Error('the batch ended before its instance was taken');
    return scored > before;
  });
}

test('each evicted worker releases its batch and acknowledges the event, and the batch completes', async () => {
  await using metadata = await new ScheduledEventsServer().start();
  const jobId = 'job-evicted';
  const batch = await fixture.storeBatch(jobId, FRAMES_STORED, { segmentFrames: SEGMENT });
  await fixture.send(batch);
  let framesRun = 0;
  for (let time = 1; time <= TIMES; time += 1) {
    metadata.clear();
    const worker = startSlowWorker({
      FRAMEFLEET_SCHEDULED_EVENTS_URL: metadata.url,
      FRAMEFLEET_VM_NAME: `gpus_${time}`,
    });
    await madeProgress(jobId, await fixture.countScored(jobId));
    const eventId = metadata.schedule({
      eventType: 'Preempt',
      resources: [`gpus_${time}`],
      noticeSeconds: 30,
    });
    await eventually('the event is acknowledged', () => metadata.acknowledged.includes(eventId));
    // After the acknowledgement the worker holds nothing, so the instance may disappear at any moment.
    worker.child.kill('SIGKILL');
    await worker.end;
    framesRun += countIn(worker.heard(), '"outcome":"stored"');
  }
  fixture.startWorker();
  const results = await fixture.resultsOf(batch);
  await fixture.stopWorkers();
  framesRun += results.at(-1)?.framesRun ?? 0;
  expect(await fixture.takePoison()).toEqual([]);
  expect(results.flatMap(({ failed }) => failed)).toEqual([]);
  await allAreScored(jobId);
  // No segment was stored twice.
  expect(framesRun).toBeLessThanOrEqual(FRAMES);
});

test('a batch completes after several workers are killed, because each of them stored a segment', async () => {
  const jobId = 'job-killed';
  const batch = await fixture.storeBatch(jobId, FRAMES_STORED, { segmentFrames: SEGMENT });
  await fixture.send(batch);
  let last: RunningCommand | undefined;
  for (let time = 1; time <= TIMES; time += 1) {
    last = startSlowWorker({});
    await madeProgress(jobId, await fixture.countScored(jobId));
    last.child.kill('SIGKILL');
    await last.end;
  }
  const after = await fixture.countScored(jobId);
  fixture.startWorker();
  const results = await fixture.resultsOf(batch);
  expect(results).toHaveLength(1);
  expect(countOf(results[0]?.scored ?? [])).toBe(FRAMES);
  // Stored frames were not run again.
  expect(results[0]?.framesRun).toBeLessThanOrEqual(FRAMES - after);
  await fixture.queueIsEmpty();
  await fixture.stopWorkers();
  expect(await fixture.takePoison()).toEqual([]);
  await allAreScored(jobId);
});
