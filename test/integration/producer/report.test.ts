/** The job report names each failed frame, also for a job that failed because of them. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { Collector } from '../../../producer/jobs/collect.ts';
import { readReport } from '../../../producer/jobs/report.ts';
import { StatusPublisher } from '../../../producer/jobs/status.ts';
import { encodeMessage } from '../../../shared/contract/messages.ts';
import { buildResult, openSplitJob } from '../../support/build-job.ts';
import { type ControlServers, passUntilRest, startControlServers } from '../../support/control-plane.ts';
import { type TestQueue, openTestQueue } from '../../support/test-queue.ts';

let servers: ControlServers;
let storage: ControlServers['storage'];
let control: ControlServers['control'];
let results: TestQueue;

beforeAll(async () => {
  servers = await startControlServers();
  ({ storage, control } = servers);
});
afterAll(() => servers[Symbol.asyncDispose]());
beforeEach(async () => {
  await control.redis.flushall();
  results = await openTestQueue(storage, 'batch-results');
});

const publish = (): Promise<number> =>
  new StatusPublisher({ ...control, blobs: storage.blobs, onEnded: () => Promise.resolve() }).pass();

test.each([
  { jobId: 'job-strict', frameCount: 1000, onFailedFrame: 'fail' },
  { jobId: 'job-share', frameCount: 40, onFailedFrame: 'keep-original' },
] as const)(
  'the report of a job that failed because of its frames names each with its reason: $onFailedFrame',
  async (job) => {
    const { jobId } = job;
    await openSplitJob(control.ledger, jobId, { ...job, batchSize: 20 });
    const failed = [
      { kind: 'undecodable' as const, message: 'no picture', frames: [[3, 5]] as [number, number][] },
      { kind: 'inference' as const, message: 'no memory', frames: [[9, 10]] as [number, number][] },
    ];
    await results.queue.send(encodeMessage(buildResult(jobId, { scored: [[0, 3]], failed })));
    const collector = new Collector({ ...control, results: results.queue });
    await passUntilRest(() => collector.pass());
    await publish();

    expect(await readReport(storage.blobs, jobId)).toMatchObject({
      jobId,
      frameCount: job.frameCount,
      resultSha256: null,
      failedFrames: [
        { frameIndex: 3, kind: 'undecodable', message: 'no picture' },
        { frameIndex: 4, kind: 'undecodable', message: 'no picture' },
        { frameIndex: 9, kind: 'inference', message: 'no memory' },
      ],
    });
    expect(await control.ledger.isOpen(jobId)).toBe(false);
  },
);

test('a job that failed for another reason has no report', async () => {
  await openSplitJob(control.ledger, 'job-other', { frameCount: 40, batchSize: 20 });
  const error = { code: 'SOURCE_TRUNCATED', message: 'cut off', hint: null };
  await control.ledger.move('job-other', 'failed', { error });
  await publish();
  expect(await readReport(storage.blobs, 'job-other')).toBeUndefined();
});
