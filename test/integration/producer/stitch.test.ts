/** When a stitch must not make a result. `faults/whole-video.test.ts` covers the results. */
import { rm } from 'node:fs/promises';

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { JobFolders } from '../../../producer/jobs/job-folders.ts';
import { stitch } from '../../../producer/jobs/stitch.ts';
import { encodeTimeline } from '../../../producer/media/timeline.ts';
import { timelineBlob } from '../../../shared/contract/blob-names.ts';
import type { FrameRange } from '../../../shared/contract/ranges.ts';
import { buildDefinition, firstSplit, openSplitJob } from '../../support/build-job.ts';
import { type ControlServers, startControlServers } from '../../support/control-plane.ts';
import { testFolder } from '../../support/servers.ts';
import { putSegment } from '../../support/upload-job.ts';

const FRAMES = 10;
const { epoch: EPOCH } = buildDefinition('job');

let servers: ControlServers;
let workFolder: string;
let folders: JobFolders;

beforeAll(async () => {
  servers = await startControlServers();
  workFolder = await testFolder();
  folders = await JobFolders.open({ workFolder, workBytesMax: undefined, blobs: servers.storage.blobs });
});
afterAll(async () => {
  await servers[Symbol.asyncDispose]();
  await rm(workFolder, { recursive: true });
});
beforeEach(async () => {
  await servers.control.redis.flushall();
});

/** A job whose frames are all scored, with these segments in storage. */
async function scoredJob(jobId: string, segments: readonly FrameRange[]): Promise<void> {
  const { control, storage } = servers;
  await openSplitJob(control.ledger, jobId, { frameCount: FRAMES, batchSize: FRAMES });
  const pts = Float64Array.from({ length: FRAMES }, (_, index) => index);
  const timeline = encodeTimeline({ timeBase: { numerator: 1, denominator: 25 }, pts });
  await storage.blobs.put('pieces', timelineBlob(firstSplit(jobId)), timeline);
  for (const frames of segments) await putSegment(storage.blobs, jobId, frames);
  const scored = [[0, FRAMES]] as const;
  await control.ledger.resolve(firstSplit(jobId), { batchIndex: null, scored, failed: [], nowMs: 1 });
}

const runStitch = (jobId: string, run = firstSplit(jobId)): Promise<void> => {
  const { control, storage } = servers;
  const services = { ...control, blobs: storage.blobs, folders, stitchCpuSecondsMax: 60 };
  return stitch(services, { ...run, epoch: EPOCH }, new AbortController().signal);
};

test.for<[string, readonly FrameRange[], number]>([
  ['the first', [[5, 10]], 0],
  [
    'one in the middle',
    [
      [0, 4],
      [5, 10],
    ],
    4,
  ],
  ['the last', [[0, 5]], 5],
])(
  'a stitch without %s of its segments fails for now and names the frame',
  async ([which, segments, frame]) => {
    const jobId = `job-${which.replaceAll(' ', '-')}`;
    await scoredJob(jobId, segments);
    await expect(runStitch(jobId)).rejects.toMatchObject({
      name: 'TransientError',
      code: 'STORAGE_UNAVAILABLE',
      message: expect.stringContaining(`starts with frame ${frame} of ${FRAMES}`),
    });
    expect((await servers.control.ledger.job(jobId))?.state).toBe('running');
  },
);

test('a stitch of another split or epoch, or of an ended job, makes no result', async () => {
  const { ledger } = servers.control;
  await scoredJob('job-1', []);
  await runStitch('job-1', { jobId: 'job-1', splitNumber: 2 });
  await ledger.splitAgain(firstSplit('job-1'), EPOCH);
  await runStitch('job-1');
  expect(await ledger.job('job-1')).toMatchObject({ state: 'running', framesStitched: 0 });
  await ledger.move('job-1', 'failed');
  await runStitch('job-1', { jobId: 'job-1', splitNumber: 2 });
  expect(await ledger.job('job-1')).toMatchObject({ state: 'failed', splitNumber: 2 });
  await runStitch('job-unknown');
  expect(await Array.fromAsync(servers.storage.blobs.list('results', { prefix: 'job-1/' }))).toEqual([]);
});
