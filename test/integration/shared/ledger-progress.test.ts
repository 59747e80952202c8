/** The progress and the warnings of a job, and the rates and engines of the fleet. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { Ledger } from '../../../shared/redis/ledger.ts';
import { buildDefinition, firstSplit, openSplitJob } from '../../support/build-job.ts';
import { type TestRedis, startTestRedis } from '../../support/servers.ts';
import { type Connections, connect } from '../../support/test-redis.ts';

const SPLIT = firstSplit('job-1');

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

test('planSplit replaces the expected frame count and the size of a frame', async () => {
  await openSplitJob(ledger, 'job-1', { frameCount: 100, batchSize: 10 });
  await ledger.planSplit(SPLIT, { batchSize: 10, framesExpected: 90, megapixelsPerFrame: 2.1 });
  expect(await ledger.job('job-1')).toMatchObject({
    batchSize: 10,
    framesExpected: 90,
    megapixelsPerFrame: 2.1,
  });
});

test('finishSplit corrects the expected frame count', async () => {
  await openSplitJob(ledger, 'job-1', { frameCount: 100, batchSize: 10 });
  await ledger.recordSplit(SPLIT, 48);
  await ledger.finishSplit(SPLIT, 97);
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
  await ledger.claimBatch(SPLIT, 1);
  await ledger.claimBatch(SPLIT, 1);
  await ledger.requeueStale('job-1', 2);
  await ledger.claimBatch(SPLIT, 3);
  const failed = [{ kind: 'inference' as const, message: 'no output', frames: [[3, 5] as const] }];
  await ledger.resolve(SPLIT, { batchIndex: 0, scored: [[0, 3]], failed, nowMs: 4 });
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
  const failed = [{ kind: 'inference' as const, message: 'late', frames: [[3, 4] as const] }];
  await ledger.resolve(SPLIT, { batchIndex: 0, scored: [[0, 1]], failed, nowMs: 1 });
  await ledger.warn('job-1', 'late');
  const keys = await connections.first.keys('framefleet:job:*');
  const secondsLeft = await Promise.all(keys.map((key) => connections.first.ttl(key)));
  expect(Math.min(...secondsLeft)).toBeGreaterThan(0);
});
