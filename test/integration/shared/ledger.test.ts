/** Jobs in the ledger. Their frames and batches are tested in `ledger-frames.test.ts` and `ledger-batches.test.ts`. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { JOB_STATES, type JobState } from '../../../shared/contract/job.ts';
import { Ledger } from '../../../shared/redis/ledger.ts';
import { buildDefinition, openSplitJob } from '../../support/build-job.ts';
import { type TestRedis, startTestRedis } from '../../support/servers.ts';
import { type Connections, connect } from '../../support/test-redis.ts';

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

test('one of several producers that open a job concurrently succeeds, and its definition stays', async () => {
  const definitions = Array.from({ length: 8 }, (_, epoch) => buildDefinition('job-1', {}, epoch));
  const opened = await Promise.all(
    definitions.map((one, index) => (index % 2 === 0 ? ledger : other).open(one, 1)),
  );
  expect(opened.filter(Boolean)).toHaveLength(1);
  expect(await other.job('job-1')).toMatchObject({
    definition: definitions[opened.indexOf(true)],
    state: 'waiting',
    framesExpected: 0,
    framesScored: 0,
    splitFinished: false,
    batchesOutstanding: 0,
    warnings: [],
  });
});

test('an unknown job is undefined, and cannot be moved', async () => {
  expect(await ledger.job('job-1')).toBeUndefined();
  expect(await ledger.isKnown('job-1')).toBe(false);
  expect(await ledger.move('job-1', 'running')).toBe(false);
  expect(await ledger.isKnown('job-1')).toBe(false);
  expect(await ledger.openJobs()).toEqual([]);
});

test('openJobs is ordered by the time of opening', async () => {
  await ledger.open(buildDefinition('job-late', {}, 300), 1);
  await ledger.open(buildDefinition('job-early', {}, 100), 1);
  await ledger.open(buildDefinition('job-middle', {}, 200), 1);
  expect((await ledger.openJobs()).map(({ jobId }) => jobId)).toEqual([
    'job-early',
    'job-middle',
    'job-late',
  ]);
});

/** All allowed moves. */
const ALLOWED: readonly [JobState, JobState][] = [
  ['waiting', 'running'],
  ['waiting', 'failed'],
  ['waiting', 'cancelled'],
  ['running', 'completed'],
  ['running', 'failed'],
  ['running', 'cancelled'],
];

test.for(JOB_STATES)('a job that is %s allows only the moves of the state machine', async (from) => {
  const way: Record<JobState, JobState[]> = {
    waiting: [],
    running: ['running'],
    completed: ['running', 'completed'],
    failed: ['failed'],
    cancelled: ['cancelled'],
  };
  for (const to of JOB_STATES) {
    const jobId = `job-${from}-${to}`;
    await ledger.open(buildDefinition(jobId), 1);
    for (const state of way[from]) expect(await ledger.move(jobId, state)).toBe(true);
    const isAllowed = ALLOWED.some(([a, b]) => a === from && b === to);
    const result = { blobName: 'changed', sizeBytes: 1 };
    expect(await ledger.move(jobId, to, { result }), `${from} to ${to}`).toBe(isAllowed);
    const job = await other.job(jobId);
    expect(job?.state).toBe(isAllowed ? to : from);
    expect(job?.result).toEqual(isAllowed ? result : undefined);
  }
});

test('of a concurrent completion and failure, one wins, and only its fields are stored', async () => {
  const result = { blobName: 'job/a.mp4', sizeBytes: 5 };
  const error = { code: 'INTERNAL', message: 'with "quotes", -- and\nlines', hint: null };
  for (let round = 0; round < 20; round += 1) {
    const jobId = `job-${round}`;
    await openSplitJob(ledger, jobId, { frameCount: 1, batchSize: 1 });
    const complete = () => ledger.move(jobId, 'completed', { result });
    const fail = () => other.move(jobId, 'failed', { error });
    const [first, second] = await Promise.all(round % 2 === 0 ? [complete(), fail()] : [fail(), complete()]);
    expect([first, second].filter(Boolean)).toHaveLength(1);
    const job = await ledger.job(jobId);
    const winner = first === (round % 2 === 0) ? 'completed' : 'failed';
    expect([job?.state, job?.result, job?.error]).toEqual(
      winner === 'completed' ? [winner, result, undefined] : [winner, undefined, error],
    );
  }
});
