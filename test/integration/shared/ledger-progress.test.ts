/** The progress and the warnings of a job, and the rates and engines of the fleet. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { Ledger } from '../../../shared/redis/ledger.ts';
import { buildDefinition, openSplitJob } from '../../support/build-job.ts';
import { type TestRedis, startTestRedis } from '../../support/servers.ts';
import { type Connections, connect } from '../../support/test-redis.ts';

let server: TestRedis;
let connections: Connections;
let ledger: Ledger;

beforeAll(async () => {
  server = await startTestRedis();
  connections = await connect(server);
  ledger = new Ledger(connections.first);
});
afterAll(async () => {
  connections[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await connections.first.flushall();
});

const score = (...scored: [number, number][]) =>
  ledger.resolve('job-1', { batchIndex: null, scored, failed: [], nowMs: 1 });

test('resolvedUpTo finds the end of a gapless run from any start, across byte boundaries', async () => {
  await openSplitJob(ledger, 'job-1', { frameCount: 40, batchSize: 40 });
  await score([0, 7], [8, 16], [17, 33]);
  const upTo = await Promise.all(
    Array.from({ length: 40 }, (_, index) => ledger.resolvedUpTo('job-1', index)),
  );
  const expected = upTo.map((_, index) => {
    if (index < 7) return 7;
    if (index >= 8 && index < 16) return 16;
    return index >= 17 && index < 33 ? 33 : index;
  });
  expect(upTo).toEqual(expected);
});

test('failed frames count as resolved', async () => {
  await openSplitJob(ledger, 'job-1', { frameCount: 40, batchSize: 40 });
  const failed = [{ kind: 'missing' as const, message: 'gone', frames: [[3, 5] as [number, number]] }];
  await ledger.resolve('job-1', {
    batchIndex: 0,
    scored: [
      [0, 3],
      [5, 9],
    ],
    failed,
    nowMs: 1,
  });
  expect(await ledger.resolvedUpTo('job-1', 0)).toBe(9);
});

test('resolvedUpTo returns its start if no frame is resolved', async () => {
  expect(await ledger.resolvedUpTo('job-1', 0)).toBe(0);
  expect(await ledger.resolvedUpTo('job-1', 5000)).toBe(5000);
});

test.for([0, 1, 7, 8, 1021, 1024])(
  'repeated calls of resolvedUpTo from frame %d advance past 1,024 frames',
  async (start) => {
    await openSplitJob(ledger, 'job-1', { frameCount: 5000, batchSize: 500 });
    await score([0, 3333]);
    let index: number = start;
    for (let call = 0; call < 10; call += 1) {
      const next = await ledger.resolvedUpTo('job-1', index);
      expect(next - index).toBeLessThanOrEqual(1024);
      if (next === index) break;
      index = next;
    }
    expect(index).toBe(3333);
  },
);

test('planSplit keeps the first batch size and replaces the rest of the plan', async () => {
  await openSplitJob(ledger, 'job-1', { frameCount: 100, batchSize: 10 });
  await ledger.planSplit('job-1', { batchSize: 25, framesExpected: 90, megapixelsPerFrame: 2.1 });
  expect(await ledger.job('job-1')).toMatchObject({
    batchSize: 10,
    framesExpected: 90,
    megapixelsPerFrame: 2.1,
  });
});

test('finishSplit corrects the expected frame count', async () => {
  await openSplitJob(ledger, 'job-1', { frameCount: 100, batchSize: 10 });
  await ledger.recordSplit('job-1', 48);
  await ledger.finishSplit('job-1', 97);
  await ledger.recordStitched('job-1', 12);
  expect(await ledger.job('job-1')).toMatchObject({
    framesExpected: 97,
    framesSplit: 97,
    splitFinished: true,
    framesStitched: 12,
  });
});

test('a repeated warning is stored once', async () => {
  await openSplitJob(ledger, 'job-1', { frameCount: 1, batchSize: 1 });
  for (const sentence of ['no chapters', 'no subtitles', 'no chapters', 'no chapters'])
    await ledger.warn('job-1', sentence);
  expect((await ledger.job('job-1'))?.warnings.toSorted()).toEqual(['no chapters', 'no subtitles']);
});

test('a rate starts with its first measurement and follows changes smoothly', async () => {
  expect(await ledger.rate('painter')).toBeUndefined();
  await ledger.recordRate('painter', 10);
  expect(await ledger.rate('painter')).toBe(10);
  await ledger.recordRate('painter', 110);
  const after = (await ledger.rate('painter')) ?? 0;
  expect(after).toBeGreaterThan(10);
  expect(after).toBeLessThan(60);
  for (let measured = 0; measured < 30; measured += 1) await ledger.recordRate('painter', 110);
  expect(await ledger.rate('painter')).toBeCloseTo(110, 0);
  expect(await ledger.rate('upscaler')).toBeUndefined();
});

test('engines returns 0 a minute after the last report', async () => {
  expect(await ledger.engines()).toBe(0);
  await ledger.recordEngines(7);
  expect(await ledger.engines()).toBe(7);
  const [key = ''] = await connections.first.keys('*engines*');
  const secondsLeft = await connections.first.ttl(key);
  expect(secondsLeft).toBeGreaterThan(0);
  expect(secondsLeft).toBeLessThanOrEqual(60);
  await connections.first.expire(key, 0);
  expect(await ledger.engines()).toBe(0);
});

test('a closed job is not listed, stays known for a while, and all its keys expire', async () => {
  await openSplitJob(ledger, 'job-1', { frameCount: 20, batchSize: 10 });
  await openSplitJob(ledger, 'job-2', { frameCount: 20, batchSize: 10 });
  await ledger.claimBatch('job-1', 1);
  await ledger.claimBatch('job-1', 1);
  await ledger.requeueStale('job-1', 2);
  await ledger.claimBatch('job-1', 3);
  const failed = [{ kind: 'missing' as const, message: 'gone', frames: [[3, 5] as [number, number]] }];
  await ledger.resolve('job-1', { batchIndex: 0, scored: [[0, 3]], failed, nowMs: 4 });
  await ledger.warn('job-1', 'no chapters');
  await ledger.move('job-1', 'failed');
  await ledger.close('job-1', buildDefinition('job-1').epoch);

  expect((await ledger.openJobs()).map(({ jobId }) => jobId)).toEqual(['job-2']);
  expect(await ledger.job('job-1')).toMatchObject({ state: 'failed', warnings: ['no chapters'] });
  const keys = await connections.first.keys('*job-1*');
  expect(keys).toHaveLength(6);
  const secondsLeft = await Promise.all(keys.map((key) => connections.first.ttl(key)));
  expect(Math.min(...secondsLeft)).toBeGreaterThan(24 * 3600);
});

test('keys that are written for a closed job expire', async () => {
  await openSplitJob(ledger, 'job-1', { frameCount: 100, batchSize: 10 });
  await ledger.move('job-1', 'failed');
  await ledger.close('job-1', buildDefinition('job-1').epoch);
  const failed = [{ kind: 'inference' as const, message: 'late', frames: [[3, 4] as [number, number]] }];
  await ledger.resolve('job-1', { batchIndex: 0, scored: [[0, 1]], failed, nowMs: 1 });
  await ledger.warn('job-1', 'late');
  const keys = await connections.first.keys('framefleet:job:*');
  const secondsLeft = await Promise.all(keys.map((key) => connections.first.ttl(key)));
  expect(Math.min(...secondsLeft)).toBeGreaterThan(0);
});
