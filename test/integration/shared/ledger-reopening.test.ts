/** A job that has ended can be forgotten and opened again. Updates that refer to the old job have no effect. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { Ledger } from '../../../shared/redis/ledger.ts';
import { buildDefinition, firstSplit, openSplitJob } from '../../support/build-job.ts';
import { type TestRedis, startTestRedis } from '../../support/servers.ts';
import { type Connections, connect } from '../../support/test-redis.ts';

const JOB = 'job-1';
const SPLIT = firstSplit(JOB);
const { epoch: FIRST } = buildDefinition(JOB);
const SECOND = FIRST + 1;

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

async function endAndForget(): Promise<void> {
  await openSplitJob(ledger, JOB, { frameCount: 40, batchSize: 10 });
  const failed = [{ kind: 'inference' as const, message: 'no output', frames: [[3, 4] as const] }];
  await ledger.resolve(SPLIT, { batchIndex: null, scored: [[0, 3]], failed, nowMs: 1 });
  await ledger.claimBatch(SPLIT, 1);
  await ledger.warn(JOB, 'no chapters');
  await ledger.move(JOB, 'failed');
  await ledger.close(JOB, FIRST);
  await ledger.forget(JOB);
}

test('an open job is not forgotten in any state', async () => {
  await openSplitJob(ledger, JOB, { frameCount: 40, batchSize: 10 });
  expect(await ledger.forget(JOB)).toBe(false);
  await ledger.move(JOB, 'failed');
  expect(await ledger.forget(JOB)).toBe(false);
  expect(await ledger.isOpen(JOB)).toBe(true);
  expect(await ledger.job(JOB)).toMatchObject({ state: 'failed' });
});

test('a closed job is forgotten completely and can be opened as new', async () => {
  await endAndForget();
  expect(await connections.first.keys(`*${JOB}*`)).toEqual([]);
  expect(await ledger.isKnown(JOB)).toBe(false);
  expect(await ledger.open(buildDefinition(JOB, {}, SECOND), 1)).toBe(true);
  expect(await ledger.job(JOB)).toMatchObject({ state: 'waiting', framesScored: 0, warnings: [] });
  const secondsLeft = await connections.first.ttl(`framefleet:job:${JOB}`);
  expect(secondsLeft).toBe(-1);
});

test('a job that is not terminal is not closed', async () => {
  await openSplitJob(ledger, JOB, { frameCount: 40, batchSize: 10 });
  await ledger.close(JOB, FIRST);
  expect(await ledger.isOpen(JOB)).toBe(true);
});

test('move and close with the epoch of the old job have no effect', async () => {
  await endAndForget();
  await ledger.open(buildDefinition(JOB, {}, SECOND), 1);
  expect(await ledger.move(JOB, 'running', { epoch: FIRST })).toBe(false);
  expect(await ledger.move(JOB, 'running', { epoch: SECOND })).toBe(true);
  expect(await ledger.move(JOB, 'completed', { epoch: FIRST })).toBe(false);
  expect(await ledger.move(JOB, 'completed', { epoch: SECOND })).toBe(true);
  await ledger.close(JOB, FIRST);
  expect(await ledger.isOpen(JOB)).toBe(true);
  await ledger.close(JOB, SECOND);
  expect(await ledger.isOpen(JOB)).toBe(false);
});

test('late updates of a forgotten job do not prevent it from being opened', async () => {
  await endAndForget();
  await ledger.recordSplit(SPLIT, 30);
  await ledger.recordStitched(JOB, 20);
  const failed = [{ kind: 'inference' as const, message: 'late', frames: [[5, 6] as const] }];
  await ledger.resolve(SPLIT, { batchIndex: 0, scored: [[0, 1]], failed, nowMs: 1 });
  expect(await ledger.isKnown(JOB)).toBe(false);
  expect(await ledger.job(JOB)).toBeUndefined();
  expect(await ledger.move(JOB, 'failed')).toBe(false);
  expect(await ledger.open(buildDefinition(JOB, {}, SECOND), 1)).toBe(true);
  expect(await ledger.job(JOB)).toMatchObject({
    state: 'waiting',
    framesSplit: 0,
    framesStitched: 0,
    framesScored: 0,
    framesFailed: 0,
  });
});
