/**
 * Whole videos through producer and worker, with bad frames and lost messages: the result has as many frames and as much sound as
 * the source, the report names the failed frames, and they can be redriven.
 */
import { rm } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { frameBlob, reportBlob, statusBlob } from '../../shared/contract/blob-names.ts';
import { type JobReport, type JobStatus, jobStatus } from '../../shared/contract/job.ts';
import { type RunningCommand, enqueue, poison, startService } from '../support/commands.ts';
import { eventually } from '../support/eventually.ts';
import { H264, ffmpeg, pictureTimes, soundPackets, tone } from '../support/media-clips.ts';
import { type TestRedis, startTestRedis } from '../support/servers.ts';
import { WorkerFixture } from '../support/worker-fixture.ts';

const FRAMES = 40;
const BATCH = 20;
/** Frames of the source: black kills the engine, white makes it hang, red makes the model fail. */
const SOURCE_FRAMES = { 8: 'black', 21: 'white', 33: 'red' };
const UNDECODABLE = 12;
const MISSING = 30;

let fixture: WorkerFixture;
let redis: TestRedis;
let producer: RunningCommand;
const at = (name: string): string => path.join(fixture.folder, name);

beforeAll(async () => {
  fixture = await WorkerFixture.open();
  redis = await startTestRedis();
  const boxes = Object.entries(SOURCE_FRAMES).map(
    ([frame, colour]) => `drawbox=enable='eq(n,${frame})':color=${colour}:t=fill`,
  );
  const seconds = FRAMES / 20;
  const plain = ['-f', 'lavfi', '-i', `color=c=0x4080C0:size=64x48:rate=20:duration=${seconds}`];
  // Key frames only, so that a red frame does not affect its neighbours.
  const codec = [...H264, '-g', '1', '-bf', '0', '-qp', '0', '-c:a', 'aac'];
  await ffmpeg([...plain, ...tone({ seconds }), '-vf', boxes.join(','), ...codec, at('bad.mp4')]);
  await ffmpeg([...plain, ...tone({ seconds }), ...codec, at('good.mp4')]);
  producer = startService('producer', {
    localFolder: fixture.folder,
    environment: {
      ...storageEnvironment(),
      FRAMEFLEET_REDIS_URL: redis.url,
      FRAMEFLEET_WORK_FOLDER: at('work'),
      FRAMEFLEET_INTAKE_SCAN_SECONDS: '0.5',
      FRAMEFLEET_RESEND_SECONDS: '5',
    },
  });
  await producer.said('service ready');
});
afterEach(async () => {
  await fixture.stopWorkers();
  await fixture.clear();
});
afterAll(async () => {
  producer.child.kill('SIGTERM');
  await producer.end;
  await redis[Symbol.asyncDispose]();
  await fixture[Symbol.asyncDispose]();
  await rm(fixture.folder, { recursive: true, force: true });
});

function storageEnvironment(): Record<string, string> {
  const { media, system } = fixture.storage.connection;
  return { FRAMEFLEET_MEDIA_STORAGE: media, FRAMEFLEET_SYSTEM_STORAGE: system };
}

async function submit(name: string, ...options: string[]): Promise<string> {
  const args = [at(name), '--model', 'hostile', '--batch', String(BATCH), '--json', '--detach', ...options];
  const { stdout } = await enqueue(args, { localFolder: fixture.folder, environment: storageEnvironment() })
    .end;
  return (JSON.parse(stdout) as { jobId: string }).jobId;
}

async function statusWhen(jobId: string, matches: (status: JobStatus) => boolean): Promise<JobStatus> {
  return eventually(`the job ${jobId} is as expected`, async () => {
    const bytes = await fixture.storage.blobs.get('results', statusBlob(jobId));
    if (bytes === undefined) return undefined;
    const status = jobStatus.parse(JSON.parse(bytes.toString('utf8')));
    return matches(status) ? status : undefined;
  });
}

const hasEnded = ({ state }: JobStatus): boolean => state === 'completed' || state === 'failed';

async function reportOf(jobId: string): Promise<JobReport> {
  return JSON.parse(String(await fixture.storage.blobs.get('results', reportBlob(jobId)))) as JobReport;
}

/** The result has as many frames as the source, at the same times, and the same packets of sound. */
async function isWhole({ result }: JobStatus, source: string): Promise<void> {
  await fixture.storage.blobs.getFile('results', result?.blobName ?? '', at('result.mp4'));
  const [before, after] = await Promise.all([pictureTimes(at(source)), pictureTimes(at('result.mp4'))]);
  expect(after.seconds).toHaveLength(FRAMES);
  expect(after.seconds).toEqual(before.seconds);
  expect(await soundPackets(at('result.mp4'))).toEqual(await soundPackets(at(source)));
}

test('a video with five bad frames has a complete result and report, and repaired frames are scored when redriven', async () => {
  const jobId = await submit('bad.mp4', '--max-failed-frames', '10');
  await statusWhen(jobId, ({ frames }) => frames.split === FRAMES);
  const { blobs } = fixture.storage;
  await blobs.put('frames', frameBlob(jobId, UNDECODABLE), 'not a picture');
  await blobs.remove('frames', frameBlob(jobId, MISSING));
  fixture.startWorker();
  const status = await statusWhen(jobId, hasEnded);
  expect(status).toMatchObject({ state: 'completed', frames: { expected: FRAMES, failed: 5 } });
  await isWhole(status, 'bad.mp4');
  const reasons = async () =>
    (await reportOf(jobId)).failedFrames.map(({ frameIndex, kind }) => [frameIndex, kind]);
  expect(await reasons()).toEqual([
    [8, 'engine'],
    [UNDECODABLE, 'undecodable'],
    [21, 'engine'],
    [MISSING, 'missing'],
    [33, 'inference'],
  ]);

  // Redriving splits the source again, which stores missing frames.
  await blobs.remove('frames', frameBlob(jobId, UNDECODABLE));
  const environment = { localFolder: fixture.folder, environment: storageEnvironment() };
  const list = await poison(['list', '--job', jobId, '--json'], environment).end;
  const { entries } = JSON.parse(list.stdout) as { entries: { id: string; reason: string }[] };
  expect(entries).toHaveLength(5);
  const repaired = entries.filter(({ reason }) => reason === 'undecodable' || reason === 'missing');
  const ids = repaired.flatMap(({ id }) => ['--id', id]);
  const redriven = await poison(['redrive', '--job', jobId, ...ids], environment).end;
  expect(redriven.status).toBe(0);
  const again = await statusWhen(jobId, (now) => hasEnded(now) && now.frames.failed === 3);
  expect(again.state).toBe('completed');
  await isWhole(again, 'bad.mp4');
  expect(await reasons()).toEqual([
    [8, 'engine'],
    [21, 'engine'],
    [33, 'inference'],
  ]);
});

test('a bad frame fails a job with --on-failed-frame fail, and the report names the frame', async () => {
  const jobId = await submit('bad.mp4', '--on-failed-frame', 'fail');
  fixture.startWorker();
  const status = await statusWhen(jobId, hasEnded);
  expect(status).toMatchObject({ state: 'failed', error: { code: 'TOO_MANY_FAILED_FRAMES' } });
  const { failedFrames } = await reportOf(jobId);
  expect(failedFrames.length).toBeGreaterThan(0);
});

test('deleted messages are sent again, and the result is complete', async () => {
  const jobId = await submit('good.mp4');
  await eventually('both batches are on the queue', async () => (await fixture.batches.countApprox()) === 2);
  await fixture.clear();
  fixture.startWorker();
  const status = await statusWhen(jobId, hasEnded);
  expect(status).toMatchObject({ state: 'completed', frames: { failed: 0 } });
  await isWhole(status, 'good.mp4');
  const scored = await fixture.countScored(jobId);
  expect(scored).toBe(FRAMES);
});
