/** The counts of a job's scored and failed frames: each frame is counted once. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { Ledger } from '../../../shared/redis/ledger.ts';
import { firstSplit, openSplitJob } from '../../support/build-job.ts';
import { type TestRedis, startTestRedis } from '../../support/servers.ts';
import { type Connections, connect } from '../../support/test-redis.ts';

const SPLIT = firstSplit('job-1');

let server: TestRedis;
let connections: Connections;
let ledger: Ledger;
/** The same ledger, through the connection of another producer. */
let other: Ledger;

beforeAll(async () => {
  server = await startTestRedis();
  connections = await connect(server, 2);
  const [first, second] = connections.all.map((redis) => new Ledger(redis));
  if (first === undefined || second === undefined) throw new Error('expected two connections');
  [ledger, other] = [first, second];
});
afterAll(async () => {
  connections[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await connections.first.flushall();
});

const failedFrames = (...frames: [number, number][]) => [
  { kind: 'inference' as const, message: 'no memory', frames },
];
const counts = async (jobId: string) => {
  const { framesScored, framesFailed } = (await ledger.job(jobId)) ?? {};
  return { framesScored, framesFailed };
};

test('a frame is counted once however often its result is repeated', async () => {
  await openSplitJob(ledger, 'job-1', { frameCount: 100, batchSize: 10 });
  const result = {
    batchIndex: 0,
    scored: [
      [0, 5],
      [7, 9],
    ],
    failed: failedFrames([5, 7]),
    nowMs: 1,
  } as const;
  expect(await ledger.resolve(SPLIT, result)).toMatchObject({ newlyScored: 7, newlyFailed: 2 });
  expect(await other.resolve(SPLIT, result)).toMatchObject({ newlyScored: 0, newlyFailed: 0 });
  expect(await counts('job-1')).toEqual({ framesScored: 7, framesFailed: 2 });
  const overlapping = { batchIndex: null, scored: [[4, 12]], failed: [], nowMs: 2 } as const;
  await ledger.resolve(SPLIT, overlapping);
  expect(await counts('job-1')).toEqual({ framesScored: 12, framesFailed: 0 });
  expect((await ledger.job('job-1'))?.scoringSinceMs).toBe(1);
});

test('concurrent results count each frame once', async () => {
  await openSplitJob(ledger, 'job-1', { frameCount: 64, batchSize: 8 });
  const counted = await Promise.all(
    Array.from({ length: 24 }, (_, index) =>
      (index % 2 === 0 ? ledger : other).resolve(SPLIT, {
        batchIndex: index % 8,
        scored: [[(index % 8) * 8, (index % 8) * 8 + 8]],
        failed: [],
        nowMs: index,
      }),
    ),
  );
  expect(counted.reduce((sum, { newlyScored }) => sum + newlyScored, 0)).toBe(64);
  expect(await counts('job-1')).toEqual({ framesScored: 64, framesFailed: 0 });
});

test('frames underway are the last report of each batch that is on the queue, until all its frames are resolved', async () => {
  await openSplitJob(ledger, 'job-1', { frameCount: 30, batchSize: 10 });
  for (const nowMs of [1, 2]) await ledger.claimBatch(SPLIT, nowMs);
  const report = async (batchIndex: number, underway: number, scored: [number, number][] = []) => {
    await ledger.resolve(SPLIT, { batchIndex, scored, failed: [], underway, nowMs: 3 });
    return (await ledger.job('job-1'))?.framesUnderway;
  };
  expect(await report(0, 4)).toBe(4);
  expect(await report(1, 3)).toBe(7);
  expect(await report(0, 2, [[0, 4]])).toBe(5);
  expect(await report(0, 6, [[4, 10]])).toBe(3);
  // Batch 2 was not sent.
  expect(await report(2, 5)).toBe(3);
  expect(await counts('job-1')).toEqual({ framesScored: 10, framesFailed: 0 });
});

test('a failed frame that is scored later counts as scored, and a late failure of a scored frame is ignored', async () => {
  await openSplitJob(ledger, 'job-1', { frameCount: 100, batchSize: 10 });
  await ledger.resolve(SPLIT, {
    batchIndex: 0,
    scored: [],
    failed: failedFrames([0, 2], [12, 13]),
    nowMs: 1,
  });
  expect(await ledger.failures('job-1')).toEqual(
    [0, 1, 12].map((frameIndex) => ({ frameIndex, kind: 'inference', message: 'no memory' })),
  );
  expect(
    await ledger.resolve(SPLIT, { batchIndex: 0, scored: [[1, 3]], failed: [], nowMs: 2 }),
  ).toMatchObject({
    newlyScored: 2,
    corrected: 1,
    newlyFailed: 0,
  });
  await ledger.resolve(SPLIT, { batchIndex: 0, scored: [], failed: failedFrames([1, 3]), nowMs: 3 });

  expect(await counts('job-1')).toEqual({ framesScored: 2, framesFailed: 2 });
  expect(await ledger.failures('job-1')).toEqual(
    [0, 12].map((frameIndex) => ({ frameIndex, kind: 'inference', message: 'no memory' })),
  );
});
