/**
 * Three producers share jobs. Undisturbed, each step runs once, and every producer takes part. Killed at random, they leave the same
 * pieces, segments and results, nothing twice, and empty queues.
 */
import { createHash } from 'node:crypto';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { readStatus } from '../../producer/jobs/status.ts';
import { framesOfSegment, reportBlob, splitPrefix } from '../../shared/contract/blob-names.ts';
import { type JobReport, PRIORITIES } from '../../shared/contract/job.ts';
import { segmentsOf } from '../../shared/contract/segment.ts';
import type { ContainerName } from '../../shared/contract/storage-layout.ts';
import { systemClock } from '../../shared/runtime/clock.ts';
import { firstSplit } from '../support/build-job.ts';
import { eventually } from '../support/eventually.ts';
import { inForm, printedSeed } from '../support/fault-form.ts';
import { H264, ffmpeg, picture, pictureTimes, tone } from '../support/media-clips.ts';
import { ProducerFleet } from '../support/producer-fleet.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { type StepRun, repeatedWithoutKill, stepRunsOf } from '../support/step-runs.ts';
import { NO_FAULTS } from '../support/storage-proxy.ts';

const PRODUCERS = 3;
const WORKERS = inForm({ short: 1, long: 2 });
/** More than two producers can split at once. */
const JOBS_UNDISTURBED = inForm({ short: 5, long: 20 });
const SPLITS_AT_ONCE_OF_TWO = 4;
const JOBS_DISTURBED = inForm({ short: 4, long: 20 });
const KILLS = inForm({ short: 2, long: 10 });
/** Submitted before each kill, so that every kill meets work. */
const JOBS_PER_KILL = JOBS_DISTURBED / KILLS;
/** About as long as a step takes on a busy machine. */
const MS_AFTER_START_MAX = 500;
const SEGMENT_FRAMES = 40;

const H265_OPEN = ['-c:v', 'libx265', '-x265-params', 'keyint=25:bframes=3:log-level=error'];
/** Two are cut, at key frames at least 128 frames apart, and one is decoded, into pieces of 64 frames. */
const CLIPS = {
  'closed.mp4': {
    frames: 140,
    options: [...H264, '-g', '65', '-c:a', 'aac', '-shortest'],
    pieces: ['00000000.nut', '00000130.nut'],
  },
  'open.mp4': { frames: 90, options: [...H265_OPEN, '-an'], pieces: ['00000000.mkv', '00000064.mkv'] },
  'simple.mp4': {
    frames: 150,
    options: ['-c:v', 'mpeg4', '-g', '20', '-an'],
    pieces: ['00000000.nut', '00000140.nut'],
  },
} as const;
type Clip = keyof typeof CLIPS;
const CLIP_NAMES = Object.keys(CLIPS) as Clip[];

interface TestJob {
  readonly jobId: string;
  readonly clip: Clip;
}

/** By clip: what the first undisturbed job of the clip left, as hashes by name. */
const leftUndisturbed = new Map<Clip, Awaited<ReturnType<typeof leftBy>>>();
let fleet: ProducerFleet;

beforeAll(async () => {
  fleet = await ProducerFleet.open();
  for (const [name, { frames, options }] of Object.entries(CLIPS)) {
    const inputs = [...picture({ seconds: frames / 25 }), ...tone({ seconds: frames / 25 })];
    await ffmpeg([...inputs, ...options, fleet.at(name)]);
  }
  await Promise.all(Array.from({ length: PRODUCERS }, () => fleet.startProducer()));
  for (let worker = 0; worker < WORKERS; worker += 1) await fleet.startWorker();
});
afterAll(() => fleet[Symbol.asyncDispose]());

/** Clips and priorities take turns, each pair of them in the end. */
function jobsNamed(name: string, count: number): TestJob[] {
  return Array.from({ length: count }, (_, index) => ({
    jobId: `job-${name}-${index}`,
    clip: CLIP_NAMES[index % CLIP_NAMES.length] ?? 'closed.mp4',
  }));
}

async function submit({ jobId, clip }: TestJob, index: number): Promise<void> {
  const priority =
    PRIORITIES[(index + Math.floor(index / PRIORITIES.length)) % PRIORITIES.length] ?? 'normal';
  await fleet.submit(jobId, clip, { priority, batchSize: SEGMENT_FRAMES });
}

async function allEnded(submitted: readonly TestJob[]): Promise<void> {
  for (const { jobId } of submitted)
    await eventually(`${jobId} is closed`, async () => {
      const { ledger } = fleet;
      return (await ledger.isKnown(jobId)) && !(await ledger.isOpen(jobId));
    });
}

/** What a container holds of a job: hashes by name, without the job. */
async function hashesIn(container: ContainerName, jobId: string): Promise<Map<string, string>> {
  const { blobs } = fleet.fixture.storage;
  const hashes = new Map<string, string>();
  for await (const { name } of blobs.list(container, { prefix: `${jobId}/` })) {
    const bytes = (await blobs.get(container, name)) ?? '';
    hashes.set(name.slice(jobId.length + 1), createHash('sha256').update(bytes).digest('hex'));
  }
  return hashes;
}

/** The pieces, what the workers stored, and the result. */
async function leftBy(jobId: string) {
  const results = await hashesIn('results', jobId);
  return {
    pieces: await hashesIn('pieces', jobId),
    scored: await hashesIn('scored', jobId),
    result: results.get('harbour.mp4'),
    resultNames: [...results.keys()],
  };
}

/** Each job has completed with exactly its frames, and has left what an undisturbed job leaves. */
async function areWhole(ended: readonly TestJob[]): Promise<void> {
  const { blobs } = fleet.fixture.storage;
  for (const { jobId, clip } of ended) {
    const { frames, pieces } = CLIPS[clip];
    const status = await readStatus(blobs, jobId);
    const counts = { expected: frames, split: frames, scored: frames, failed: 0, stitched: frames };
    expect(status).toMatchObject({ state: 'completed', frames: counts, warnings: [] });
    const left = await leftBy(jobId);
    const first = leftUndisturbed.get(clip) ?? left;
    leftUndisturbed.set(clip, first);
    expect(left).toEqual(first);
    const folder = splitPrefix(firstSplit(jobId)).slice(jobId.length + 1);
    expect([...left.pieces.keys()]).toEqual(
      [...pieces, 'plan.json', 'timeline.json'].map((name) => folder + name),
    );
    // No two segments hold the same frame.
    const segments = [...left.scored.keys()].map((name) => framesOfSegment(name));
    expect(segments.filter((range) => range !== undefined)).toEqual(segmentsOf([0, frames], SEGMENT_FRAMES));
    expect(left.resultNames).toEqual([
      'harbour.mp4',
      'previews/contact-sheet.jpg',
      'report.json',
      'status.json',
    ]);
    const report = JSON.parse(String(await blobs.get('results', reportBlob(jobId)))) as JobReport;
    expect(report).toMatchObject({ resultSha256: left.result, frameCount: frames, failedFrames: [] });
  }
}

/** No message and no step is left, and none has failed. */
async function nothingIsLeft(): Promise<void> {
  const { fixture, ledger } = fleet;
  expect(await fixture.takePoison()).toEqual([]);
  for (const queue of [fixture.batches, fixture.results])
    await eventually(`${queue.name} is empty`, async () => (await queue.countApprox()) === 0);
  const none = { active: 0, wait: 0, prioritized: 0, delayed: 0, failed: 0 };
  await eventually('no step runs', async () => (await fleet.countSteps()).active === 0);
  expect(await fleet.countSteps()).toEqual(none);
  expect(await ledger.openJobs()).toEqual([]);
}

/** The runs of the steps of these jobs. */
function runsOf(jobs: readonly TestJob[]): StepRun[] {
  const ids = new Set(jobs.map(({ jobId }) => jobId));
  return stepRunsOf(fleet.logs).filter(({ jobId }) => ids.has(jobId));
}

const nameOf = ({ step, jobId }: StepRun): string => `${step} of ${jobId}`;
const stepsOf = (jobs: readonly TestJob[]): string[] =>
  jobs.flatMap(({ jobId }) => [`split of ${jobId}`, `stitch of ${jobId}`]).toSorted();

/** How many lines with this phrase are about each of the jobs. */
function countLines(msg: string, jobs: readonly TestJob[]): number[] {
  const lines = fleet.logs.flatMap((log) => log.lines).filter((line) => line.msg === msg);
  return jobs.map(({ jobId }) => lines.filter((line) => line.jobId === jobId).length);
}

/** Downloads of sources wait until more splits have started than two producers run at once: so three run them. */
async function whileSplitsAreHeld(jobs: readonly TestJob[]): Promise<void> {
  const held = Promise.withResolvers<void>();
  fleet.proxy.faults = ({ operation, path }) =>
    operation === 'get' && /\/incoming\/.*\.mp4$/.test(path)
      ? { kind: 'hold', until: held.promise }
      : undefined;
  await Promise.all(jobs.map(submit));
  await eventually(
    `more than ${SPLITS_AT_ONCE_OF_TWO} splits have started`,
    () => runsOf(jobs).length > SPLITS_AT_ONCE_OF_TWO,
  );
  fleet.proxy.faults = NO_FAULTS;
  held.resolve();
}

test('three producers share jobs: each step runs once, and each producer takes part', async () => {
  const jobs = jobsNamed('undisturbed', JOBS_UNDISTURBED);
  await whileSplitsAreHeld(jobs);
  await allEnded(jobs);
  await nothingIsLeft();
  await areWhole(jobs);
  for (const { jobId, clip } of jobs.slice(0, CLIP_NAMES.length)) {
    const { blobs } = fleet.fixture.storage;
    await blobs.getFile('results', `${jobId}/harbour.mp4`, fleet.at('result.mp4'));
    const [before, after] = [await pictureTimes(fleet.at(clip)), await pictureTimes(fleet.at('result.mp4'))];
    expect(after.seconds).toEqual(before.seconds);
  }

  const runs = runsOf(jobs);
  expect(runs.map(nameOf).toSorted()).toEqual(stepsOf(jobs));
  expect(runs.map(({ end }) => end)).toEqual(runs.map(() => 'finished'));
  expect(new Set(runs.map(({ log }) => log)).size).toBe(PRODUCERS);
  const once = jobs.map(() => 1);
  for (const phrase of ['job opened', 'split finished', 'job completed'])
    expect(countLines(phrase, jobs)).toEqual(once);
  const isDecoded = jobs.map(({ clip }) => (clip === 'open.mp4' ? 1 : 0));
  expect(countLines('source is decoded by the producer', jobs)).toEqual(isDecoded);
  // The producers store nothing twice. A worker may, if a batch of a slow one is sent again.
  const stored = fleet.proxy.requests
    .of('put')
    .map(({ path }) => path)
    .filter((path) => /\/(?:pieces|results)\/.*\.(?:nut|mkv|mp4)$/.test(path));
  expect(stored.length).toBeGreaterThan(0);
  expect(stored).toEqual([...new Set(stored)]);
});

test(`producers killed ${KILLS} times at random leave what undisturbed ones leave`, async () => {
  const random = seededRandom(printedSeed('many producers'));
  const jobs = jobsNamed('disturbed', JOBS_DISTURBED);
  for (let kill = 0; kill < KILLS; kill += 1) {
    const first = kill * JOBS_PER_KILL;
    const group = jobs.slice(first, first + JOBS_PER_KILL);
    await Promise.all(group.map((job, index) => submit(job, first + index)));
    // Every step of these jobs starts at some time, so this number is always reached.
    const starts = 1 + Math.floor(random() * (2 * JOBS_PER_KILL - 1));
    await eventually(`${starts} steps of the group have started`, () => runsOf(group).length >= starts);
    const sinceMs = random() * MS_AFTER_START_MAX;
    await systemClock.sleep(sinceMs);
    await fleet.killLastStarter();
    const lost = runsOf(jobs).filter(({ end, log }) => end === undefined && log.killedAtMs !== undefined);
    process.stdout.write(
      `kill ${kill + 1}: ${sinceMs.toFixed(0)} ms after start ${starts} of its jobs, lost so far: ${lost.length} runs\n`,
    );
    await fleet.startProducer();
  }
  await allEnded(jobs);
  await nothingIsLeft();
  await areWhole(jobs);

  const runs = runsOf(jobs);
  expect([...new Set(runs.map(nameOf))].toSorted()).toEqual(stepsOf(jobs));
  expect(repeatedWithoutKill(runs)).toEqual([]);
  expect(countLines('step failed', jobs)).toEqual(jobs.map(() => 0));
  expect(Math.max(...countLines('job completed', jobs))).toBe(1);
});
