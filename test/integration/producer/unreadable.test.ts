/** Jobs whose records make no sense: each ends alone, with a reason, and no loop over jobs stops at one of them. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { Collector } from '../../../producer/jobs/collect.ts';
import { dispatchPass } from '../../../producer/jobs/dispatch.ts';
import { StatusPublisher } from '../../../producer/jobs/status.ts';
import { readBacklog } from '../../../scaler/observe/backlog.ts';
import { encodeMessage } from '../../../shared/contract/messages.ts';
import { Ledger } from '../../../shared/redis/ledger.ts';
import { Spending } from '../../../shared/redis/spending.ts';
import { buildResult, openSplitJob } from '../../support/build-job.ts';
import { type IntakeBench, startIntakeBench } from '../../support/intake-bench.ts';
import { type TestQueue, openTestQueue } from '../../support/test-queue.ts';
import { uploadJob } from '../../support/upload-job.ts';

let bench: IntakeBench;
let batches: TestQueue;
let results: TestQueue;
beforeAll(async () => {
  bench = await startIntakeBench();
  batches = await openTestQueue(bench.storage, 'frame-batches');
  results = await openTestQueue(bench.storage, 'batch-results');
});
afterAll(() => bench[Symbol.asyncDispose]());
beforeEach(async () => {
  await bench.control.redis.flushall();
  for (const queue of [batches, results]) await queue.clear();
  for (const container of ['incoming', 'results'] as const) {
    for await (const { name } of bench.blobs.list(container, {})) await bench.blobs.remove(container, name);
  }
});

const publisher = (): StatusPublisher =>
  new StatusPublisher({ ...bench.control, blobs: bench.blobs, onEnded: () => Promise.resolve() });

const KEY = 'framefleet:job:job-bad';
type Spoil = (redis: IntakeBench['control']['redis']) => Promise<unknown>;
const SPOILED: Readonly<Record<string, Spoil>> = {
  'a number of frames that no file has': (redis) => redis.hset(KEY, 'framesExpected', '9448928051200000'),
  'a number that is none': (redis) => redis.hset(KEY, 'framesSplit', 'many'),
  'a state that does not exist': (redis) => redis.hset(KEY, 'state', 'pondering'),
  'half a definition': (redis) => redis.hset(KEY, 'definition', '{"request":{'),
  'a definition of another release': (redis) => redis.hset(KEY, 'definition', '{"request":{},"epoch":1}'),
  'a key of another type': async (redis) => {
    await redis.del(`${KEY}:again`);
    await redis.set(`${KEY}:again`, 'text');
  },
};

describe('a record in the ledger that cannot be read', () => {
  test.for(Object.entries(SPOILED))('%s', async ([, spoil]) => {
    const { control, blobs } = bench;
    const { ledger } = control;
    await uploadJob(blobs, 'job-bad');
    for (const jobId of ['job-bad', 'job-good']) {
      await openSplitJob(ledger, jobId, { frameCount: 8, batchSize: 4 });
    }
    await spoil(control.redis);

    // The loops of producer and scaler go on with the other job.
    expect((await ledger.openJobs()).map(({ jobId }) => jobId)).toEqual(['job-good']);
    await dispatchPass({ ...control, batches: batches.queue, resendMs: 300_000 });
    expect((await ledger.job('job-good'))?.batchesOutstanding).toBe(2);
    const { backlog } = await readBacklog({ ledger, spending: new Spending(control.redis) });
    expect(backlog.map(({ jobId }) => jobId)).toEqual(['job-good']);

    // It ends alone, with a reason, and is not opened again from storage.
    await publisher().pass();
    expect(await bench.statusOf('job-good')).toMatchObject({ state: 'running' });
    const ended = await bench.statusOf('job-bad');
    expect(ended).toMatchObject({ state: 'failed', error: { code: 'JOB_INVALID' } });
    expect(ended?.error?.message).toMatch(/^Cannot read the record of job job-bad: .+\.$/);
    expect(ended?.error?.hint).toContain('Enqueue the video again');
    await bench.scan();
    expect(await ledger.isKnown('job-bad')).toBe(false);
    expect((await ledger.openRecords()).unreadableJobs).toEqual([]);
  });
});

test('a number of frames that is none is refused before it is in the ledger', async () => {
  const { ledger } = bench.control;
  await openSplitJob(ledger, 'job-good', { frameCount: 8, batchSize: 4 });
  const plan = { batchSize: 4, megapixelsPerFrame: 1 };
  for (const framesExpected of [9.4e15, 1e9, -1, 0.5, NaN])
    await expect(ledger.planSplit('job-good', { ...plan, framesExpected })).rejects.toThrow(RangeError);
  expect((await ledger.job('job-good'))?.framesExpected).toBe(8);
});

describe('a job for which a pass fails', () => {
  /** A ledger in which a call fails for one job. */
  function failing(call: 'claimBatch' | 'resolve' | 'job'): Ledger {
    const ledger = new Ledger(bench.control.redis);
    const real = ledger[call].bind(ledger) as (jobId: string, ...rest: unknown[]) => Promise<unknown>;
    const fake = (jobId: string, ...rest: unknown[]): Promise<unknown> =>
      jobId === 'job-bad' ? Promise.reject(new Error('a bad job')) : real(jobId, ...rest);
    return Object.assign(ledger, { [call]: fake });
  }
  beforeEach(async () => {
    for (const jobId of ['job-bad', 'job-good'])
      await openSplitJob(bench.control.ledger, jobId, { frameCount: 8, batchSize: 4 });
  });

  test('does not keep the others from being dispatched', async () => {
    const ledger = failing('claimBatch');
    await dispatchPass({ ...bench.control, ledger, batches: batches.queue, resendMs: 300_000 });
    expect((await ledger.job('job-good'))?.batchesOutstanding).toBe(2);
  });

  test('does not keep the status of the others from being published', async () => {
    const ledger = failing('job');
    const records = await bench.control.ledger.openRecords();
    Object.assign(ledger, { openRecords: () => Promise.resolve(records) });
    const onEnded = (): Promise<void> => Promise.resolve();
    await new StatusPublisher({ ...bench.control, ledger, blobs: bench.blobs, onEnded }).pass();
    expect(await bench.statusOf('job-good')).toMatchObject({ state: 'running' });
  });

  test('does not keep the results of the others from being taken, and its own comes back', async () => {
    const ledger = failing('resolve');
    for (const jobId of ['job-bad', 'job-good'])
      await results.queue.send(encodeMessage(buildResult(jobId, { scored: [[0, 4]] })));
    const collector = new Collector({ ...bench.control, ledger, results: results.queue });
    for (let passes = 0; passes < 3; passes += 1) await collector.pass();
    expect((await ledger.job('job-good'))?.framesScored).toBe(4);
    expect(await results.queue.countApprox()).toBe(1);
  });

  test('fails the pass where it is the only job, so that the loop backs off', async () => {
    await bench.control.redis.del('framefleet:job:job-good');
    await bench.control.redis.zrem('framefleet:open-jobs', 'job-good');
    const dispatching = dispatchPass({
      ...bench.control,
      ledger: failing('claimBatch'),
      batches: batches.queue,
      resendMs: 300_000,
    });
    await expect(dispatching).rejects.toThrow('a bad job');
  });
});
