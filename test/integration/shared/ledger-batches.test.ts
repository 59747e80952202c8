/** Which batch of a job is claimed next, and which is claimed again. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import type { ClaimedBatch } from '../../../shared/redis/ledger-job.ts';
import { Ledger } from '../../../shared/redis/ledger.ts';
import { buildDefinition, firstSplit, openSplitJob } from '../../support/build-job.ts';
import { type TestRedis, startTestRedis } from '../../support/servers.ts';
import { type Connections, connect } from '../../support/test-redis.ts';

const CLAIMERS = 8;
const JOB = 'job-1';
const SPLIT = firstSplit(JOB);

let server: TestRedis;
let connections: Connections;
let ledgers: Ledger[];
let ledger: Ledger;

beforeAll(async () => {
  server = await startTestRedis();
  connections = await connect(server, CLAIMERS);
  ledgers = connections.all.map((redis) => new Ledger(redis));
  ledger = new Ledger(connections.first);
});
afterAll(async () => {
  connections[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await connections.first.flushall();
});

/** Claims batches until none is left, at most 1,000. */
async function claimBatches(by: Ledger, nowMs = 1): Promise<ClaimedBatch[]> {
  const claimed: ClaimedBatch[] = [];
  while (claimed.length < 1000) {
    const batch = await by.claimBatch(SPLIT, nowMs);
    if (batch === undefined) return claimed;
    claimed.push(batch);
  }
  throw new Error('claimed 1,000 batches, and more are left');
}

async function claimAll(by: Ledger, nowMs = 1): Promise<number[]> {
  return (await claimBatches(by, nowMs)).map(({ batchIndex }) => batchIndex);
}

const upTo = (end: number): number[] => Array.from({ length: end }, (_, index) => index);

test('producers that claim concurrently get each batch exactly once', async () => {
  await openSplitJob(ledger, JOB, { frameCount: 995, batchSize: 5 });
  const claimed = await Promise.all(ledgers.map((one) => claimAll(one)));
  expect(claimed.flat().sort((a, b) => a - b)).toEqual(upTo(199));
  expect(claimed.filter(({ length }) => length > 0).length).toBeGreaterThan(1);
  expect(await ledger.job(JOB)).toMatchObject({ batchesOutstanding: 199, nextBatch: 199 });
});

test('a batch is claimed only when all its frames are stored, and a last short batch only when the split has finished', async () => {
  await ledger.open(buildDefinition(JOB), 1);
  expect(await ledger.claimBatch(SPLIT, 1)).toBeUndefined();
  await ledger.move(JOB, 'running');
  expect(await ledger.claimBatch(SPLIT, 1)).toBeUndefined();
  await ledger.planSplit(SPLIT, { batchSize: 10, framesExpected: 25, megapixelsPerFrame: 1 });
  expect(await ledger.claimBatch(SPLIT, 1)).toBeUndefined();
  await ledger.recordSplit(SPLIT, 9);
  expect(await claimAll(ledger)).toEqual([]);
  await ledger.recordSplit(SPLIT, 10);
  expect(await claimAll(ledger)).toEqual([0]);
  await ledger.recordSplit(SPLIT, 23);
  expect(await claimAll(ledger)).toEqual([1]);
  await ledger.finishSplit(SPLIT, 23);
  expect(await claimBatches(ledger)).toEqual([{ batchIndex: 2, frameStart: 20, frameEnd: 23 }]);
});

test('a job that is not running has no batch to claim', async () => {
  await openSplitJob(ledger, JOB, { frameCount: 20, batchSize: 10 });
  await ledger.move(JOB, 'failed');
  expect(await ledger.claimBatch(SPLIT, 1)).toBeUndefined();
  expect(await ledger.claimBatch(firstSplit('job-unknown'), 1)).toBeUndefined();
});

test('a fully resolved batch is skipped, and one with a single unresolved frame is not', async () => {
  await openSplitJob(ledger, JOB, { frameCount: 45, batchSize: 10 });
  const failed = [{ kind: 'inference' as const, message: 'no output', frames: [[18, 20] as const] }];
  await ledger.resolve(SPLIT, {
    batchIndex: null,
    scored: [
      [0, 9],
      [10, 18],
      [30, 45],
    ],
    failed,
    nowMs: 1,
  });
  expect(await claimAll(ledger)).toEqual([0, 2]);
  expect((await ledger.job(JOB))?.batchesOutstanding).toBe(2);
});

test('a batch is outstanding until its last frame is resolved', async () => {
  await openSplitJob(ledger, JOB, { frameCount: 14, batchSize: 10 });
  await claimAll(ledger);
  const outstanding = async () => (await ledger.job(JOB))?.batchesOutstanding;
  await ledger.resolve(SPLIT, { batchIndex: 0, scored: [[0, 9]], failed: [], nowMs: 2 });
  expect(await outstanding()).toBe(2);
  await ledger.resolve(SPLIT, { batchIndex: 0, scored: [[9, 10]], failed: [], nowMs: 3 });
  expect(await outstanding()).toBe(1);
  await ledger.resolve(SPLIT, { batchIndex: 1, scored: [[10, 14]], failed: [], nowMs: 4 });
  expect(await outstanding()).toBe(0);
});

test('stale batches are claimed again, oldest first, before new ones', async () => {
  await openSplitJob(ledger, JOB, { frameCount: 50, batchSize: 10 });
  for (const nowMs of [100, 200, 300]) await ledger.claimBatch(SPLIT, nowMs);
  expect([await ledger.countStale(JOB, 100), await ledger.countStale(JOB, 201)]).toEqual([0, 2]);
  expect(await ledger.requeueStale(JOB, 100)).toBe(0);
  expect(await ledger.requeueStale(JOB, 201)).toBe(2);
  expect(await ledger.requeueStale(JOB, 201)).toBe(0);
  expect(await ledger.job(JOB)).toMatchObject({ batchesOutstanding: 1, batchesToSendAgain: 2 });
  expect(await claimAll(ledger, 400)).toEqual([0, 1, 3, 4]);
  expect(await ledger.job(JOB)).toMatchObject({
    batchesOutstanding: 5,
    batchesToSendAgain: 0,
    lastDispatchedAt: 400,
  });
});

test('progress postpones the time at which a batch is stale, and a result without new frames does not', async () => {
  await openSplitJob(ledger, JOB, { frameCount: 20, batchSize: 10 });
  await claimAll(ledger, 100);
  const part = {
    scored: [
      [0, 4],
      [10, 14],
    ],
    failed: [],
  } as const;
  await ledger.resolve(SPLIT, { ...part, batchIndex: 0, nowMs: 500 });
  await ledger.resolve(SPLIT, { ...part, batchIndex: 1, nowMs: 600 });
  expect(await ledger.requeueStale(JOB, 500)).toBe(1);
  expect(await claimAll(ledger, 700)).toEqual([1]);
});

test('producers that requeue concurrently requeue each batch once', async () => {
  await openSplitJob(ledger, JOB, { frameCount: 200, batchSize: 10 });
  await claimAll(ledger, 100);
  const requeued = await Promise.all(ledgers.map((one) => one.requeueStale(JOB, 101)));
  expect(requeued.reduce((sum, count) => sum + count, 0)).toBe(20);
  expect((await Promise.all(ledgers.map((one) => claimAll(one, 200)))).flat().sort((a, b) => a - b)).toEqual(
    upTo(20),
  );
});

test('a stale batch that is resolved before it is claimed again is skipped', async () => {
  await openSplitJob(ledger, JOB, { frameCount: 30, batchSize: 10 });
  await claimAll(ledger, 100);
  await ledger.requeueStale(JOB, 101);
  await ledger.resolve(SPLIT, { batchIndex: 1, scored: [[10, 20]], failed: [], nowMs: 150 });
  expect(await claimAll(ledger, 200)).toEqual([0, 2]);
});
