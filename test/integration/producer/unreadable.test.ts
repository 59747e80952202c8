/** Jobs with unreadable records: each fails with a reason and does not block other jobs in any loop. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { Collector } from '../../../producer/jobs/collect.ts';
import { dispatchPass } from '../../../producer/jobs/dispatch.ts';
import { StatusPublisher } from '../../../producer/jobs/status.ts';
import { readBacklog } from '../../../scaler/observe/backlog.ts';
import type { SplitOfJob } from '../../../shared/contract/blob-names.ts';
import { encodeMessage } from '../../../shared/contract/messages.ts';
import { Ledger } from '../../../shared/redis/ledger.ts';
import { Spending } from '../../../shared/redis/spending.ts';
import { buildResult, firstSplit, openSplitJob } from '../../support/build-job.ts';
import { BUILT_PLANS } from '../../support/dispatch-fixture.ts';
import { type IntakeFixture, startIntakeFixture } from '../../support/intake-fixture.ts';
import { type TestQueue, openTestQueue } from '../../support/test-queue.ts';
import { uploadJob } from '../../support/upload-job.ts';

let fixture: IntakeFixture;
let batches: TestQueue;
let results: TestQueue;
beforeAll(async () => {
  fixture = await startIntakeFixture();
  batches = await openTestQueue(fixture.storage, 'frame-batches');
  results = await openTestQueue(fixture.storage, 'batch-results');
});
afterAll(() => fixture[Symbol.asyncDispose]());
beforeEach(async () => {
  await fixture.control.redis.flushall();
  for (const queue of [batches, results]) await queue.clear();
  for (const container of ['incoming', 'results'] as const) {
    for await (const { name } of fixture.blobs.list(container, {}))
      await fixture.blobs.remove(container, name);
  }
});

const publisher = (): StatusPublisher =>
  new StatusPublisher({ ...fixture.control, blobs: fixture.blobs, onEnded: () => Promise.resolve() });

const KEY = 'framefleet:job:job-bad';
type Corrupt = (redis: IntakeFixture['control']['redis']) => Promise<unknown>;
const CORRUPTIONS: Readonly<Record<string, Corrupt>> = {
  'an impossible number of frames': (redis) => redis.hset(KEY, 'framesExpected', '9448928051200000'),
  'a number that is not numeric': (redis) => redis.hset(KEY, 'framesSplit', 'many'),
  'a state that does not exist': (redis) => redis.hset(KEY, 'state', 'pondering'),
  'a truncated definition': (redis) => redis.hset(KEY, 'definition', '{"request":{'),
  'a definition of another release': (redis) => redis.hset(KEY, 'definition', '{"request":{},"epoch":1}'),
  'a key of another type': async (redis) => {
    await redis.del(`${KEY}:again`);
    await redis.set(`${KEY}:again`, 'text');
  },
};

describe('a job fails alone when its ledger record has', () => {
  test.for(Object.entries(CORRUPTIONS))('%s', async ([, corrupt]) => {
    const { control, blobs } = fixture;
    const { ledger } = control;
    await uploadJob(blobs, 'job-bad');
    for (const jobId of ['job-bad', 'job-good']) {
      await openSplitJob(ledger, jobId, { frameCount: 8, batchSize: 4 });
    }
    await corrupt(control.redis);

    // The loops of the producer and the scaler continue with the other job.
    expect((await ledger.openJobs()).map(({ jobId }) => jobId)).toEqual(['job-good']);
    await dispatchPass({ ...control, batches: batches.queue, plans: BUILT_PLANS, resendMs: 300_000 });
    expect((await ledger.job('job-good'))?.batchesOutstanding).toBe(2);
    const { backlog } = await readBacklog(ledger, new Spending(control.redis));
    expect(backlog.map(({ jobId }) => jobId)).toEqual(['job-good']);

    // The bad job fails with a reason and is not reopened from storage.
    await publisher().pass();
    expect(await fixture.statusOf('job-good')).toMatchObject({ state: 'running' });
    const ended = await fixture.statusOf('job-bad');
    expect(ended).toMatchObject({ state: 'failed', error: { code: 'JOB_INVALID' } });
    expect(ended?.error?.message).toMatch(/^Cannot read the record of job job-bad: .+\.$/);
    expect(ended?.error?.hint).toContain('Enqueue the video again');
    await fixture.scan();
    expect(await ledger.isKnown('job-bad')).toBe(false);
    expect((await ledger.openRecords()).unreadableJobs).toEqual([]);
  });
});

test('planSplit rejects an invalid number of frames', async () => {
  const { ledger } = fixture.control;
  await openSplitJob(ledger, 'job-good', { frameCount: 8, batchSize: 4 });
  const plan = { batchSize: 4, megapixelsPerFrame: 1 };
  for (const framesExpected of [9.4e15, 1e9, -1, 0.5, NaN])
    await expect(ledger.planSplit(firstSplit('job-good'), { ...plan, framesExpected })).rejects.toThrow(
      RangeError,
    );
  expect((await ledger.job('job-good'))?.framesExpected).toBe(8);
});

describe('a job that fails a pass', () => {
  /** A ledger in which one call fails for one job. */
  function failing(call: 'claimBatch' | 'resolve' | 'job'): Ledger {
    const ledger = new Ledger(fixture.control.redis);
    const real = ledger[call].bind(ledger) as (...args: unknown[]) => Promise<unknown>;
    const fake = (job: string | SplitOfJob, ...rest: unknown[]): Promise<unknown> =>
      (typeof job === 'string' ? job : job.jobId) === 'job-bad'
        ? Promise.reject(new Error('a bad job'))
        : real(job, ...rest);
    return Object.assign(ledger, { [call]: fake });
  }
  beforeEach(async () => {
    for (const jobId of ['job-bad', 'job-good'])
      await openSplitJob(fixture.control.ledger, jobId, { frameCount: 8, batchSize: 4 });
  });

  test('does not block the dispatch of other jobs', async () => {
    const ledger = failing('claimBatch');
    await dispatchPass({
      ...fixture.control,
      ledger,
      batches: batches.queue,
      plans: BUILT_PLANS,
      resendMs: 300_000,
    });
    expect((await ledger.job('job-good'))?.batchesOutstanding).toBe(2);
  });

  test('does not block the status of other jobs', async () => {
    const ledger = failing('job');
    const records = await fixture.control.ledger.openRecords();
    Object.assign(ledger, { openRecords: () => Promise.resolve(records) });
    const onEnded = (): Promise<void> => Promise.resolve();
    await new StatusPublisher({ ...fixture.control, ledger, blobs: fixture.blobs, onEnded }).pass();
    expect(await fixture.statusOf('job-good')).toMatchObject({ state: 'running' });
  });

  test('does not block the results of other jobs, and its own result stays on the queue', async () => {
    const ledger = failing('resolve');
    for (const jobId of ['job-bad', 'job-good'])
      await results.queue.send(encodeMessage(buildResult(jobId, { scored: [[0, 4]] })));
    const collector = new Collector({ ...fixture.control, ledger, results: results.queue });
    for (let passes = 0; passes < 3; passes += 1) await collector.pass();
    expect((await ledger.job('job-good'))?.framesScored).toBe(4);
    expect(await results.queue.countApprox()).toBe(1);
  });

  test('fails the whole pass if it is the only job, so that the loop backs off', async () => {
    await fixture.control.redis.del('framefleet:job:job-good');
    await fixture.control.redis.zrem('framefleet:open-jobs', 'job-good');
    const dispatching = dispatchPass({
      ...fixture.control,
      ledger: failing('claimBatch'),
      batches: batches.queue,
      plans: BUILT_PLANS,
      resendMs: 300_000,
    });
    await expect(dispatching).rejects.toThrow('a bad job');
  });
});
