/** A second split of a job: it forgets all frames of the first, and updates that refer to the first have no effect. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import type { LedgerJob } from '../../../shared/redis/ledger-job.ts';
import { Ledger } from '../../../shared/redis/ledger.ts';
import { buildDefinition, firstSplit, openSplitJob } from '../../support/build-job.ts';
import { type TestRedis, startTestRedis } from '../../support/servers.ts';
import { type Connections, connect } from '../../support/test-redis.ts';

const JOB = 'job-1';
const FIRST = firstSplit(JOB);
const SECOND = { jobId: JOB, splitNumber: 2 };
const { epoch: EPOCH } = buildDefinition(JOB);
/** A job that has just begun a split. */
const FRESH: Partial<LedgerJob> = {
  framesExpected: 0,
  framesSplit: 0,
  splitFinished: false,
  nextBatch: 0,
  framesScored: 0,
  framesFailed: 0,
  framesStitched: 0,
  framesUnderway: 0,
  batchesOutstanding: 0,
  batchesToSendAgain: 0,
  delayedUntilMs: [],
};

let server: TestRedis;
let connections: Connections;
let ledger: Ledger;

beforeAll(async () => {
  server = await startTestRedis();
  connections = await connect(server, 8);
  ledger = new Ledger(connections.first);
});
afterAll(async () => {
  connections[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await connections.first.flushall();
});

/** Opens a job whose first split has outcomes of every kind. */
async function openWithOutcomes(): Promise<void> {
  await openSplitJob(ledger, JOB, { frameCount: 40, batchSize: 10, spendingMax: 5 });
  for (const nowMs of [1, 2, 3]) await ledger.claimBatch(FIRST, nowMs);
  await ledger.requeueStale(JOB, 2);
  await ledger.delay(JOB, 1, { nowMs: 1, untilMs: 60_000 });
  const failed = [{ kind: 'inference' as const, message: 'no output', frames: [[5, 7] as const] }];
  await ledger.resolve(FIRST, { batchIndex: 2, scored: [[20, 25]], failed, underway: 3, nowMs: 4 });
  await ledger.recordStitched(JOB, 3);
  await ledger.warn(JOB, 'no chapters');
}

test('splitAgain forgets the plan and the outcomes of all frames, and keeps the definition and the warnings', async () => {
  await openWithOutcomes();
  const before = await ledger.job(JOB);
  expect(await ledger.splitAgain(FIRST, EPOCH)).toBe(true);

  const job = await ledger.job(JOB);
  expect(job).toMatchObject({ ...FRESH, state: 'running', splitNumber: 2, warnings: ['no chapters'] });
  expect(job?.definition).toEqual(before?.definition);
  expect(job?.batchSize).toBeUndefined();
  expect(job?.scoringSinceMs).toBeUndefined();
  expect(await ledger.failures(JOB)).toEqual([]);
  expect(await ledger.isOpen(JOB)).toBe(true);

  await ledger.planSplit(SECOND, { batchSize: 20, framesExpected: 40, megapixelsPerFrame: 1 });
  await ledger.finishSplit(SECOND, 40);
  expect(await ledger.claimBatch(SECOND, 5)).toEqual({ batchIndex: 0, frameStart: 0, frameEnd: 20 });
});

test('of producers that split a job again concurrently, one succeeds', async () => {
  await openWithOutcomes();
  const begun = await Promise.all(connections.all.map((redis) => new Ledger(redis).splitAgain(FIRST, EPOCH)));
  expect(begun.filter(Boolean)).toHaveLength(1);
  expect(await ledger.job(JOB)).toMatchObject({ splitNumber: 2 });
});

test('a job is split again only while it is running, and only under its epoch', async () => {
  expect(await ledger.splitAgain(FIRST, EPOCH)).toBe(false);
  await ledger.open(buildDefinition(JOB), 1);
  expect(await ledger.splitAgain(FIRST, EPOCH)).toBe(false);
  await ledger.move(JOB, 'running');
  expect(await ledger.splitAgain(FIRST, EPOCH - 1)).toBe(false);
  expect(await ledger.splitAgain(SECOND, EPOCH)).toBe(false);
  await ledger.move(JOB, 'failed');
  expect(await ledger.splitAgain(FIRST, EPOCH)).toBe(false);
  expect(await ledger.job(JOB)).toMatchObject({ state: 'failed', splitNumber: 1 });
});

test('late updates of the first split have no effect on the second', async () => {
  await openWithOutcomes();
  await ledger.splitAgain(FIRST, EPOCH);
  const plan = { batchSize: 10, framesExpected: 40, megapixelsPerFrame: 1 };
  expect(await ledger.planSplit(FIRST, plan)).toBe(false);
  expect(await ledger.recordSplit(FIRST, 30)).toBe(false);
  expect(await ledger.finishSplit(FIRST, 40)).toBe(false);
  expect(await ledger.job(JOB)).toMatchObject(FRESH);

  await ledger.planSplit(SECOND, plan);
  await ledger.finishSplit(SECOND, 40);
  expect(await ledger.claimBatch(FIRST, 5)).toBeUndefined();
  const failed = [{ kind: 'inference' as const, message: 'late', frames: [[20, 21] as const] }];
  const late = { batchIndex: 0, scored: [[0, 20]], failed, nowMs: 6 } as const;
  expect(await ledger.resolve(FIRST, late)).toMatchObject({ newlyScored: 0, newlyFailed: 0 });
  expect(await ledger.job(JOB)).toMatchObject({ framesScored: 0, framesFailed: 0, nextBatch: 0 });
});

test('a job that is opened with a second split in storage is in that split', async () => {
  await ledger.open(buildDefinition(JOB), 2);
  await ledger.resolve(FIRST, { batchIndex: null, scored: [[0, 5]], failed: [], nowMs: 1 });
  await ledger.resolve(SECOND, { batchIndex: null, scored: [[5, 7]], failed: [], nowMs: 1 });
  expect(await ledger.job(JOB)).toMatchObject({ splitNumber: 2, framesScored: 2 });
});
