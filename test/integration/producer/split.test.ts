/** The split of real clips: what it stores, that it can be repeated, and how a second split replaces the first. */
import { mkdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';

import { JobFolders } from '../../../producer/jobs/job-folders.ts';
import { readSourcePlan } from '../../../producer/jobs/source-plans.ts';
import { split } from '../../../producer/jobs/split.ts';
import type { JobRun } from '../../../producer/jobs/steps.ts';
import { decodeTimeline } from '../../../producer/media/timeline.ts';
import type { BlobStore } from '../../../shared/azure/blob-store.ts';
import { planBlob, timelineBlob } from '../../../shared/contract/blob-names.ts';
import type { LedgerJob } from '../../../shared/redis/ledger-job.ts';
import { systemClock } from '../../../shared/runtime/clock.ts';
import { buildDefinition, firstSplit } from '../../support/build-job.ts';
import { type ControlServers, startControlServers } from '../../support/control-plane.ts';
import { ffmpeg, picture } from '../../support/media-clips.ts';
import { LIMITS } from '../../support/media-round-trip.ts';
import { testFolder } from '../../support/servers.ts';
import { runMarker, startStepProducer } from '../../support/step-producer.ts';
import { uploadJob } from '../../support/upload-job.ts';

const FRAMES = 160;
const CLIPS = {
  /** Closed groups of 25 frames. */
  cuttable: ['-c:v', 'libx264', '-bf', '2', '-g', '25', '-pix_fmt', 'yuv420p'],
  /** Open groups: frames that are shown before a key frame refer to it. */
  uncuttable: ['-c:v', 'libx265', '-x265-params', 'keyint=25:bframes=3:log-level=error'],
} as const;
type Clip = keyof typeof CLIPS;
const CUT_NAMES = ['00000000.nut', '00000150.nut', 'plan.json', 'timeline.json'];
const DECODED_NAMES = ['00000000.mkv', '00000064.mkv', '00000128.mkv', 'plan.json', 'timeline.json'];
const { epoch: EPOCH } = buildDefinition('job');
const { signal } = new AbortController();

let servers: ControlServers;
let blobs: BlobStore;
let control: ControlServers['control'];
let workFolder: string;
let folders: JobFolders;
const clips = new Map<Clip, Buffer>();

beforeAll(async () => {
  servers = await startControlServers();
  ({ control } = servers);
  ({ blobs } = servers.storage);
  workFolder = await testFolder();
  folders = await JobFolders.open({ workFolder, workBytesMax: undefined, blobs });
  for (const clip of ['cuttable', 'uncuttable'] as const) {
    const file = path.join(workFolder, `${clip}.mp4`);
    await ffmpeg([...picture({ seconds: FRAMES / 25 }), ...CLIPS[clip], '-movflags', '+faststart', file]);
    clips.set(clip, await readFile(file));
  }
});
afterAll(async () => {
  await servers[Symbol.asyncDispose]();
  await rm(workFolder, { recursive: true });
});
beforeEach(async () => {
  await control.redis.flushall();
});

async function openJob(jobId: string, clip: Clip): Promise<void> {
  const { source } = await uploadJob(blobs, jobId, undefined, clips.get(clip));
  await control.ledger.open(buildDefinition(jobId, { source }), 1);
}

async function runSplit(
  jobId: string,
  { faults = {}, ...run }: Partial<JobRun> & { readonly faults?: Partial<BlobStore> } = {},
): Promise<void> {
  const services = { ...control, blobs: { ...blobs, ...faults }, folders, sourceLimits: sourceLimits() };
  await split(services, { jobId, epoch: EPOCH, splitNumber: 1, ...run }, signal);
}
const sourceLimits = () => ({ ...LIMITS, pixelsMax: 1e6 });

async function jobOf(jobId: string): Promise<LedgerJob> {
  const job = await control.ledger.job(jobId);
  if (job === undefined) throw new Error(`expected the ledger to know ${jobId}`);
  return job;
}

/** The blobs of a split, by their names in its folder. An etag changes when a blob is stored again. */
async function storedOf(jobId: string, splitNumber = 1): Promise<Map<string, string>> {
  const prefix = `${jobId}/${splitNumber}/`;
  const found = await Array.fromAsync(blobs.list('pieces', { prefix }));
  return new Map(found.map(({ name, etag }) => [name.slice(prefix.length), etag]));
}

async function timelineOf(jobId: string, splitNumber = 1): Promise<readonly number[]> {
  const { pts } = decodeTimeline(String(await blobs.get('pieces', timelineBlob({ jobId, splitNumber }))));
  return [...pts];
}

const piecesIn = (stored: ReadonlyMap<string, string>): [string, string][] =>
  [...stored].filter(([name]) => !name.endsWith('.json'));

test('a source that can be cut is stored in copied pieces, with a plan and the timestamps', async () => {
  await openJob('job-cut', 'cuttable');
  await runSplit('job-cut');
  expect([...(await storedOf('job-cut')).keys()]).toEqual(CUT_NAMES);
  const plan = await readSourcePlan(blobs, firstSplit('job-cut'));
  expect(plan).toMatchObject({
    pieceFormat: { container: 'nut', codec: 'h264', width: 64, height: 48 },
    picture: { framesPerSecond: 25 },
    pieces: { kind: 'cut', starts: [0, 150], frameCount: FRAMES },
  });
  expect(await timelineOf('job-cut')).toHaveLength(FRAMES);
  expect(await jobOf('job-cut')).toMatchObject({
    state: 'running',
    splitFinished: true,
    framesSplit: FRAMES,
    framesExpected: FRAMES,
    batchSize: plan?.batchFrames,
    warnings: [],
  });
});

test('batches of a model with a state are long, and the plan says how many frames come before them', async () => {
  const { source } = await uploadJob(blobs, 'job-state', undefined, clips.get('cuttable'));
  await control.ledger.open({ ...buildDefinition('job-state', { source }), contextFrames: 8 }, 1);
  await runSplit('job-state');
  const plan = await readSourcePlan(blobs, firstSplit('job-state'));
  expect(plan).toMatchObject({ contextFrames: 8, batchFrames: 32 });
  await openJob('job-stateless', 'cuttable');
  await runSplit('job-stateless');
  const other = await readSourcePlan(blobs, firstSplit('job-stateless'));
  expect([other?.contextFrames, other?.batchFrames]).toEqual([undefined, 16]);
});

test('the file of the last piece stays until its upload has ended', async () => {
  await openJob('job-slow', 'cuttable');
  const putFile: BlobStore['putFile'] = async (container, name, ...rest) => {
    if (name.endsWith('00000150.nut')) await systemClock.sleep(300);
    return blobs.putFile(container, name, ...rest);
  };
  await runSplit('job-slow', { faults: { putFile } });
  expect([...(await storedOf('job-slow')).keys()]).toEqual(CUT_NAMES);
});

test('a source that cannot be cut is decoded into pieces of JPEGs, and the plan says why', async () => {
  await openJob('job-decoded', 'uncuttable');
  await runSplit('job-decoded');
  expect([...(await storedOf('job-decoded')).keys()]).toEqual(DECODED_NAMES);
  const plan = await readSourcePlan(blobs, firstSplit('job-decoded'));
  expect(plan).toMatchObject({
    pieceFormat: { container: 'matroska', codec: 'mjpeg' },
    pieces: { kind: 'decoded', pieceFrames: 64, reason: expect.stringContaining('shown before') as string },
  });
  expect(await timelineOf('job-decoded')).toHaveLength(FRAMES);
  expect(await jobOf('job-decoded')).toMatchObject({
    splitFinished: true,
    framesSplit: FRAMES,
    batchSize: plan?.batchFrames,
  });
});

test.for([
  ['cuttable', '00000150.nut'],
  ['uncuttable', '00000064.mkv'],
] as const)(
  'a repeated split of a %s source stores only what is missing, with the same batches and segments',
  async ([clip, lost]) => {
    const jobId = `job-again-${clip}`;
    await openJob(jobId, clip);
    await runSplit(jobId);
    const [before, plan, timeline] = [
      piecesIn(await storedOf(jobId)),
      await readSourcePlan(blobs, firstSplit(jobId)),
      await timelineOf(jobId),
    ];
    await blobs.remove('pieces', `${jobId}/1/${lost}`);
    await control.redis.flushall();
    // A batch of the new rate would be longer or shorter.
    await control.ledger.recordRate('painter', 0.001);
    await openJob(jobId, clip);
    await runSplit(jobId);
    const after = piecesIn(await storedOf(jobId));
    expect(after.map(([name]) => name)).toEqual(before.map(([name]) => name));
    expect(after.filter(([name]) => name !== lost)).toEqual(before.filter(([name]) => name !== lost));
    expect(await readSourcePlan(blobs, firstSplit(jobId))).toEqual(plan);
    expect(await timelineOf(jobId)).toEqual(timeline);
    expect(await jobOf(jobId)).toMatchObject({ splitFinished: true, batchSize: plan?.batchFrames });
  },
);

test('a split of a rebuilt job whose frames are all scored starts the stitch', async () => {
  await openJob('job-scored', 'cuttable');
  const scored = { batchIndex: null, scored: [[0, FRAMES]], failed: [], nowMs: 1 } as const;
  await control.ledger.resolve(firstSplit('job-scored'), scored);
  await using stitcher = await startStepProducer(servers.server, { step: 'stitch' });
  await runSplit('job-scored');
  await runSplit('job-scored');
  await runMarker(stitcher);
  expect(stitcher.runs).toEqual(['job-scored', 'job-marker']);
});

test('a second split decodes the source, and makes the ledger forget the first once', async () => {
  const jobId = 'job-twice';
  const again = { splitNumber: 2, againBecause: 'a piece holds 9 frames' };
  const scored = { batchIndex: null, scored: [[0, 16]], failed: [], nowMs: 1 } as const;
  await openJob(jobId, 'cuttable');
  await runSplit(jobId);
  const timeline = await timelineOf(jobId);
  await control.ledger.resolve(firstSplit(jobId), scored);
  await runSplit(jobId, again);
  expect(await jobOf(jobId)).toMatchObject({
    splitNumber: 2,
    splitFinished: true,
    framesSplit: FRAMES,
    framesScored: 0,
    warnings: ['The source was split a second time, by decoding it: a piece holds 9 frames.'],
  });
  expect([...(await storedOf(jobId, 2)).keys()]).toEqual(DECODED_NAMES);
  expect(await timelineOf(jobId, 2)).toEqual(timeline);

  // A retry of the step and a late run of the first split change nothing.
  await control.ledger.resolve({ jobId, splitNumber: 2 }, scored);
  const before = await jobOf(jobId);
  await runSplit(jobId, again);
  await runSplit(jobId);
  expect(await jobOf(jobId)).toEqual(before);
});

test('a split stops when the job is split again meanwhile', async () => {
  await openJob('job-replaced', 'cuttable');
  const putFile: BlobStore['putFile'] = async (...args) => {
    await control.ledger.splitAgain(firstSplit('job-replaced'), EPOCH);
    return blobs.putFile(...args);
  };
  await runSplit('job-replaced', { faults: { putFile } });
  expect(await jobOf('job-replaced')).toMatchObject({
    state: 'running',
    splitNumber: 2,
    framesSplit: 0,
    splitFinished: false,
  });
});

test('a source whose index cannot be read is decoded, and the plan says why', async () => {
  const folder = path.join(workFolder, 'bin');
  const isFailing = 'case "$*" in *packet=*) echo broken >&2; exit 1;; esac';
  await mkdir(folder);
  await writeFile(path.join(folder, 'ffprobe'), `#!/bin/sh\n${isFailing}\nexec /usr/bin/ffprobe "$@"\n`, {
    mode: 0o755,
  });
  await openJob('job-no-index', 'cuttable');
  vi.stubEnv('PATH', `${folder}:${process.env['PATH']}`);
  try {
    await runSplit('job-no-index');
  } finally {
    vi.unstubAllEnvs();
  }
  expect([...(await storedOf('job-no-index')).keys()]).toEqual(DECODED_NAMES);
  expect(await readSourcePlan(blobs, firstSplit('job-no-index'))).toMatchObject({
    pieces: {
      kind: 'decoded',
      reason: expect.stringMatching(/^its index cannot be read \(.+broken\)$/) as string,
    },
  });
  expect(await jobOf('job-no-index')).toMatchObject({
    splitNumber: 1,
    splitFinished: true,
    framesSplit: FRAMES,
  });
});

test('a source that cannot be cut as its index says is split again by decoding', async () => {
  const jobId = 'job-uncut';
  await openJob(jobId, 'cuttable');
  await using splitter = await startStepProducer(servers.server);
  // The plan is stored after the index was read and before the source is cut: it loses its second piece in between.
  const put: BlobStore['put'] = async (container, name, ...rest) => {
    const source = path.join(workFolder, `producer-${process.pid}`, jobId, 'source');
    if (name === planBlob(firstSplit(jobId)))
      await truncate(source, Math.ceil((await stat(source)).size / 2));
    return blobs.put(container, name, ...rest);
  };
  await runSplit(jobId, { faults: { put } });
  await runMarker(splitter);
  const [again] = splitter.jobRuns;
  expect(again).toMatchObject({ jobId, epoch: EPOCH, splitNumber: 2 });
  expect(again?.againBecause).toMatch(/^cutting it failed \(.+[^.]\)$/);
  expect(await jobOf(jobId)).toMatchObject({ state: 'running', splitNumber: 1, splitFinished: false });

  await folders.remove(jobId);
  await runSplit(jobId, again);
  expect(await jobOf(jobId)).toMatchObject({ splitNumber: 2, splitFinished: true, framesSplit: FRAMES });
});
