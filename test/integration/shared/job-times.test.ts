/** What a job has taken, and how fast engines and producers work, as Redis keeps it. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { JobTimes, type WorkReport } from '../../../shared/redis/job-times.ts';
import { Ledger } from '../../../shared/redis/ledger.ts';
import { WorkRates } from '../../../shared/redis/work-rates.ts';
import { buildDefinition, firstSplit, openSplitJob } from '../../support/build-job.ts';
import { type TestRedis, startTestRedis } from '../../support/servers.ts';
import { type Connections, connect } from '../../support/test-redis.ts';

const SPLIT = firstSplit('job-1');

let server: TestRedis;
let connections: Connections;
let ledger: Ledger;
let times: JobTimes;

beforeAll(async () => {
  server = await startTestRedis();
  connections = await connect(server);
  ledger = new Ledger(connections.first);
  times = new JobTimes(connections.first);
});
afterAll(async () => {
  connections[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await connections.first.flushall();
  await openSplitJob(ledger, 'job-1', { frameCount: 95, batchSize: 10 });
});

/** As the collector does: the ledger first. */
async function report(atSeconds: number, changes: Partial<WorkReport> & { readonly stored?: number }) {
  const { stored = 0, ...rest } = changes;
  const { batchIndex = 0, underway = 0 } = rest;
  const nowMs = atSeconds * 1000;
  const start = batchIndex * 10;
  const scored = stored === 0 ? [] : [[start, start + stored] as const];
  await ledger.resolve(SPLIT, { batchIndex, scored, failed: [], underway, nowMs });
  const common = { worker: 'vm-1', batchIndex, underway, inferSeconds: 0, wallSeconds: 0 };
  await times.add(SPLIT, { ...common, ...rest, nowMs });
}
const reported = async () => (await times.read('job-1')).reportedSeconds;

test('a worker counts from five seconds before its first report with a frame, and then up to each report', async () => {
  await report(100, { underway: 3 });
  expect(await reported()).toBe(5);
  await report(105, { underway: 7 });
  expect(await reported()).toBe(10);
  await report(107, { stored: 10, wallSeconds: 12 });
  expect(await reported()).toBe(12);
  // The next batch has no frame yet, but the worker has begun.
  await report(112, { batchIndex: 1 });
  expect(await reported()).toBe(17);
});

test('a worker that ends its first batch before it reports counts as long as the batch took', async () => {
  await report(100, { stored: 10, wallSeconds: 3, inferSeconds: 2 });
  expect(await times.read('job-1')).toMatchObject({ reportedSeconds: 3, inferSeconds: 2 });
});

test('the time in which a worker loads the model does not count', async () => {
  await report(100, {});
  await report(105, {});
  await report(110, {});
  expect(await reported()).toBe(0);
  await report(115, { underway: 4 });
  expect(await reported()).toBe(5);
});

test('the time in which a worker has no batch does not count', async () => {
  await report(100, { stored: 10, wallSeconds: 3 });
  await report(400, { batchIndex: 1, underway: 3 });
  expect(await reported()).toBe(8);
});

test('workers that have reported lately are busy, with what is left of their batch', async () => {
  await report(100, { stored: 2, underway: 3 });
  await report(103, { worker: 'vm-2', batchIndex: 9, underway: 1 });
  expect(await times.busyWorkers('job-1', 104_000)).toEqual(
    expect.arrayContaining([
      { reportedAtMs: 100_000, framesLeft: 5 },
      // The last batch has five frames.
      { reportedAtMs: 103_000, framesLeft: 4 },
    ]),
  );
  expect(await times.busyWorkers('job-1', 117_000)).toEqual([{ reportedAtMs: 103_000, framesLeft: 4 }]);
});

test('a mark stays as it was set first', async () => {
  await times.mark('job-1', { splittingSinceMs: 5, framesBefore: 0 });
  await times.mark('job-1', { splittingSinceMs: 9, framesBefore: 7, splitAtMs: 9 });
  expect(await times.read('job-1')).toEqual({
    splittingSinceMs: 5,
    splitAtMs: 9,
    framesBefore: 0,
    inferSeconds: 0,
    reportedSeconds: 0,
  });
});

test('a job that is closed keeps its times, and loses them when it is opened again', async () => {
  await times.mark('job-1', { splittingSinceMs: 5 });
  await ledger.move('job-1', 'completed');
  const { epoch } = buildDefinition('job-1');
  await ledger.close('job-1', epoch);
  await times.mark('job-1', { splitAtMs: 6 });
  await report(100, { stored: 10, wallSeconds: 3 });
  expect(await times.read('job-1')).toEqual({ splittingSinceMs: 5, inferSeconds: 0, reportedSeconds: 0 });
  await ledger.forget('job-1');
  expect(await times.read('job-1')).toEqual({ inferSeconds: 0, reportedSeconds: 0 });
});

test('times that cannot be read count as none', async () => {
  await times.mark('job-1', { splittingSinceMs: 5 });
  await connections.first.hset('framefleet:job:job-1:times', 'splitAtMs', 'soon');
  expect(await times.read('job-1')).toEqual({ inferSeconds: 0, reportedSeconds: 0 });
});

test('a rate is the quotient of sums, so that a short measurement counts little', async () => {
  const rates = new WorkRates(connections.first);
  await rates.record('model:painter', 1000, 10);
  await rates.record('model:painter', 1, 1);
  expect((await rates.read()).get('model:painter')).toBeCloseTo(901 / 10);
  for (let measured = 0; measured < 60; measured += 1) await rates.record('model:painter', 500, 10);
  expect((await rates.read()).get('model:painter')).toBeCloseTo(50, 0);
});

test('a measurement without work or without time is no rate', async () => {
  const rates = new WorkRates(connections.first);
  await rates.record('join', 0, 10);
  await rates.record('split:cut', 10, -0.3);
  await rates.record('split:decode', 10, Number.NaN);
  expect(await rates.read()).toEqual(new Map());
});
