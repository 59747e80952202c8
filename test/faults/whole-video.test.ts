/**
 * Whole videos through producer and worker, with bad frames, bad pieces and lost messages: the result has as many frames and as much
 * sound as the source, the report names the failed frames, and they can be redriven.
 */
import { rm } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { listOutcomes } from '../../producer/jobs/stored-outcomes.ts';
import { reportBlob, splitPrefix, statusBlob } from '../../shared/contract/blob-names.ts';
import { type JobReport, type JobStatus, jobStatus } from '../../shared/contract/job.ts';
import { countOf } from '../../shared/contract/ranges.ts';
import { firstSplit } from '../support/build-job.ts';
import { type RunningCommand, enqueue, poison, startService } from '../support/commands.ts';
import { eventually } from '../support/eventually.ts';
import { H264, ffmpeg, pictureTimes, soundPackets, tone } from '../support/media-clips.ts';
import { type TestRedis, startTestRedis } from '../support/servers.ts';
import { WorkerFixture } from '../support/worker-fixture.ts';

/** One piece. */
const FRAMES = 24;
const BATCH = 12;
/** Enough for several pieces. */
const LONG_FRAMES = 300;
/** Black kills the engine, white makes it hang, red makes the model fail. */
const BAD_FRAMES = { 4: 'black', 13: 'white', 21: 'red' };
/** Frames of a piece that are bad although those of the source are not. */
const SPOILED_FRAMES = { 6: 'red', 18: 'red' };

let fixture: WorkerFixture;
let redis: TestRedis;
let producer: RunningCommand;
const at = (name: string): string => path.join(fixture.folder, name);

beforeAll(async () => {
  fixture = await WorkerFixture.open();
  redis = await startTestRedis();
  await Promise.all([
    writeClip('good.mp4'),
    writeClip('bad.mp4', { bad: BAD_FRAMES }),
    writeClip('spoiled.mp4', { bad: { ...BAD_FRAMES, ...SPOILED_FRAMES } }),
    writeClip('long.mp4', { frames: LONG_FRAMES }),
  ]);
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

/** A plain clip, except for bad frames. All are key frames, so that a bad frame does not affect its neighbours. */
async function writeClip(
  name: string,
  {
    frames = FRAMES,
    bad = {},
  }: { readonly frames?: number; readonly bad?: Readonly<Record<number, string>> } = {},
): Promise<void> {
  const seconds = frames / 20;
  const plain = ['-f', 'lavfi', '-i', `color=c=0x4080C0:size=64x48:rate=20:duration=${seconds}`];
  const boxes = Object.entries(bad).map(
    ([frame, colour]) => `drawbox=enable='eq(n,${frame})':color=${colour}:t=fill`,
  );
  const codec = [...H264, '-g', '1', '-bf', '0', '-qp', '0', '-c:a', 'aac'];
  await ffmpeg([...plain, ...tone({ seconds }), '-vf', ['null', ...boxes].join(','), ...codec, at(name)]);
}

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

/** The names of the pieces of the first split, in order. */
async function piecesOf(jobId: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of fixture.storage.blobs.list('pieces', {
    prefix: splitPrefix(firstSplit(jobId)),
  }))
    if (name.endsWith('.nut')) names.push(name);
  return names;
}

async function reportOf(jobId: string): Promise<JobReport> {
  return JSON.parse(String(await fixture.storage.blobs.get('results', reportBlob(jobId)))) as JobReport;
}

/** The result has as many frames as the source, at the same times, and the same packets of sound. */
async function isWhole({ result }: JobStatus, source: string): Promise<void> {
  await fixture.storage.blobs.getFile('results', result?.blobName ?? '', at('result.mp4'));
  const [before, after] = await Promise.all([pictureTimes(at(source)), pictureTimes(at('result.mp4'))]);
  expect(after.seconds).toEqual(before.seconds);
  expect(await soundPackets(at('result.mp4'))).toEqual(await soundPackets(at(source)));
}

test('a video with five bad frames has a complete result and report, and repaired frames are scored when redriven', async () => {
  const jobId = await submit('bad.mp4', '--max-failed-frames', '10');
  await statusWhen(jobId, ({ frames }) => frames.split === FRAMES);
  const { blobs } = fixture.storage;
  const [piece = '', ...others] = await piecesOf(jobId);
  expect(others).toEqual([]);
  await ffmpeg(['-i', at('spoiled.mp4'), '-map', '0:v:0', '-c', 'copy', at('spoiled.nut')]);
  await blobs.putFile('pieces', piece, at('spoiled.nut'));
  fixture.startWorker();
  const status = await statusWhen(jobId, hasEnded);
  expect(status).toMatchObject({ state: 'completed', frames: { expected: FRAMES, failed: 5 } });
  await isWhole(status, 'bad.mp4');
  const reasons = async () =>
    (await reportOf(jobId)).failedFrames.map(({ frameIndex, kind }) => [frameIndex, kind]);
  expect(await reasons()).toEqual([
    [4, 'engine'],
    [6, 'inference'],
    [13, 'engine'],
    [18, 'inference'],
    [21, 'inference'],
  ]);

  // Redriving splits the source again, which stores missing pieces.
  await blobs.remove('pieces', piece);
  const environment = { localFolder: fixture.folder, environment: storageEnvironment() };
  const list = await poison(['list', '--job', jobId, '--json'], environment).end;
  const { entries } = JSON.parse(list.stdout) as { entries: { id: string; reason: string }[] };
  // Frames that fail for the same reason in the same segment share an entry.
  expect(entries).toHaveLength(4);
  const ids = entries.filter(({ reason }) => reason === 'inference').flatMap(({ id }) => ['--id', id]);
  const redriven = await poison(['redrive', '--job', jobId, ...ids], environment).end;
  expect(redriven.status).toBe(0);
  const again = await statusWhen(jobId, (now) => hasEnded(now) && now.frames.failed === 3);
  expect(again.state).toBe('completed');
  await isWhole(again, 'bad.mp4');
  expect(await reasons()).toEqual([
    [4, 'engine'],
    [13, 'engine'],
    [21, 'inference'],
  ]);
});

test('a source with a missing and a damaged piece is split again by decoding, and the result is complete', async () => {
  const jobId = await submit('long.mp4');
  await statusWhen(jobId, ({ frames }) => frames.split === LONG_FRAMES);
  const { blobs } = fixture.storage;
  const [, missing = '', damaged = ''] = await piecesOf(jobId);
  await blobs.remove('pieces', missing);
  await blobs.put('pieces', damaged, 'not a video');
  fixture.startWorker();
  const status = await statusWhen(jobId, hasEnded);
  expect(status).toMatchObject({ state: 'completed', frames: { expected: LONG_FRAMES, failed: 0 } });
  await isWhole(status, 'long.mp4');
  expect((await reportOf(jobId)).warnings).toEqual([
    expect.stringMatching(/^The source was split a second time, by decoding it: .*\.nut/),
  ]);
  const { segments } = await listOutcomes(blobs, { jobId, splitNumber: 2 });
  expect(countOf(segments.map(({ frames }) => frames))).toBe(LONG_FRAMES);
  expect(await fixture.takePoison()).toEqual([]);
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
