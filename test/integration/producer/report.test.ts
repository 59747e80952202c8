/** The job report names each failed frame, also for a job that failed because of them. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { readReport } from '../../../producer/jobs/report.ts';
import { StatusPublisher } from '../../../producer/jobs/status.ts';
import { openSplitJob } from '../../support/build-job.ts';
import { type CollectFixture, startCollectFixture } from '../../support/collect-fixture.ts';

let fixture: CollectFixture;
let storage: CollectFixture['storage'];
let control: CollectFixture['control'];

beforeAll(async () => {
  fixture = await startCollectFixture();
  ({ storage, control } = fixture);
});
afterAll(() => fixture[Symbol.asyncDispose]());
beforeEach(() => fixture.reset());

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
      { kind: 'engine' as const, message: 'no answer', frames: [[3, 5]] as [number, number][] },
      { kind: 'inference' as const, message: 'no memory', frames: [[9, 10]] as [number, number][] },
    ];
    await fixture.send(jobId, { scored: [[0, 3]], failed });
    await fixture.collect();
    await publish();

    expect(await readReport(storage.blobs, jobId)).toMatchObject({
      jobId,
      frameCount: job.frameCount,
      resultSha256: null,
      failedFrames: [
        { frameIndex: 3, kind: 'engine', message: 'no answer' },
        { frameIndex: 4, kind: 'engine', message: 'no answer' },
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
