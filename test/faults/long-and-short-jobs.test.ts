/**
 * Eight slow jobs of low priority keep all workers busy when a short job of high priority comes. The short job completes first, and its
 * steps start as soon as they are due, because no step holds a slot while it waits for frames.
 *
 * There is one producer, so that the order of the lines in its log is the order of events.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';

import { readStatus } from '../../producer/jobs/status.ts';
import type { JobStep } from '../../producer/jobs/steps.ts';
import { eventually } from '../support/eventually.ts';
import { inForm } from '../support/fault-form.ts';
import { H264, ffmpeg, picture } from '../support/media-clips.ts';
import { ProducerFleet } from '../support/producer-fleet.ts';
import { type ProducerLine, isAboutStep, repeatedWithoutKill, stepRunsOf } from '../support/step-runs.ts';
import { slowSegments } from '../support/storage-proxy.ts';

const WORKERS = inForm({ short: 1, long: 2 });
/** More than a producer splits and stitches at once. */
const LONG_JOBS = Array.from({ length: 8 }, (_, index) => `job-long-${index}`);
const LONG_FRAMES = 160;
const SHORT_JOB = 'job-short';
const SHORT_FRAMES = 20;
/** The jobs whose end the test awaits: in the short form, not the long ones. */
const AWAITED = inForm({ short: [SHORT_JOB], long: [...LONG_JOBS, SHORT_JOB] });
/** A batch is a segment. */
const BATCH_FRAMES = 8;
/** Per batch of a long job. In all they take at least a minute of a worker, ten times what the short job takes. */
const BATCH_DELAY_MS = 500;
/** How many batches dispatch keeps on the queue, without a scaler that says how many engines run. */
const WINDOW = 4;

let fleet: ProducerFleet;

beforeAll(async () => {
  fleet = await ProducerFleet.open();
  const slow = slowSegments(BATCH_DELAY_MS);
  fleet.proxy.faults = (request) => (request.path.includes('/job-long-') ? slow(request) : undefined);
  for (const [clip, frames] of [
    ['long.mp4', LONG_FRAMES],
    ['short.mp4', SHORT_FRAMES],
  ] as const)
    await ffmpeg([...picture({ seconds: frames / 25 }), ...H264, '-g', '16', fleet.at(clip)]);
  // No batch is sent again, which would make room in the window.
  await fleet.startProducer({ FRAMEFLEET_RESEND_SECONDS: '3600' });
  for (let worker = 0; worker < WORKERS; worker += 1) await fleet.startWorker();
});
afterAll(() => fleet[Symbol.asyncDispose]());

const lines = (): readonly ProducerLine[] => fleet.logs.flatMap((log) => log.lines);
const isStart = (step: JobStep, jobId?: string) => (line: ProducerLine) =>
  line.msg === 'step started' && line.step === step && (jobId === undefined || line.jobId === jobId);

/** The index of the line that records the last frame of a job, when its stitch becomes due. */
function lastFrameRecorded(log: readonly ProducerLine[], jobId: string): number {
  let missing = jobId === SHORT_JOB ? SHORT_FRAMES : LONG_FRAMES;
  return log.findIndex((line) => {
    if (line.jobId !== jobId || line.msg !== 'result recorded') return false;
    missing -= line.newlyScored ?? 0;
    return missing === 0;
  });
}

/** The starts and ends of steps between two lines. */
function stepsBetween(log: readonly ProducerLine[], first: number, last: number): ProducerLine[] {
  expect(first).toBeGreaterThanOrEqual(0);
  expect(last).toBeGreaterThan(first);
  return log.slice(first + 1, last).filter(isAboutStep);
}

test('a short job of high priority completes before eight long jobs that keep all workers busy', async () => {
  const options = { batchSize: BATCH_FRAMES };
  await Promise.all(LONG_JOBS.map((id) => fleet.submit(id, 'long.mp4', { ...options, priority: 'low' })));
  await eventually(
    'the long jobs are split',
    () => lines().filter(({ msg }) => msg === 'step finished').length >= LONG_JOBS.length,
  );
  await eventually('the window is full', async () => (await fleet.fixture.batches.countApprox()) >= WINDOW);
  // The long jobs wait for their frames, and no step waits with them.
  expect(lines().filter(isStart('stitch'))).toEqual([]);
  await eventually('no step runs', async () => (await fleet.countSteps()).active === 0);
  const none = { active: 0, wait: 0, prioritized: 0, delayed: 0, failed: 0 };
  expect(await fleet.countSteps()).toEqual(none);

  await fleet.submit(SHORT_JOB, 'short.mp4', { ...options, priority: 'high' });
  await eventually('the short job is closed', async () => {
    return (await fleet.ledger.isKnown(SHORT_JOB)) && !(await fleet.ledger.isOpen(SHORT_JOB));
  });
  const open = await fleet.ledger.openJobs();
  expect(open.map(({ jobId }) => jobId).toSorted()).toEqual(LONG_JOBS);
  for (const { state, framesScored } of open) {
    expect(state).toBe('running');
    expect(framesScored).toBeLessThan(LONG_FRAMES);
  }
  expect(await readStatus(fleet.fixture.storage.blobs, SHORT_JOB)).toMatchObject({
    state: 'completed',
    frames: { scored: SHORT_FRAMES, failed: 0, stitched: SHORT_FRAMES },
  });
  await eventually('no step runs again', async () => (await fleet.countSteps()).active === 0);
  expect(await fleet.countSteps()).toEqual(none);

  const log = lines();
  expect(log.filter(({ msg }) => msg === 'job completed').map(({ jobId }) => jobId)).toEqual([SHORT_JOB]);
  const opened = log.findIndex(({ msg, jobId }) => msg === 'job opened' && jobId === SHORT_JOB);
  // Each step starts as soon as it is due: no other one has to end or start before.
  const splitStart = log.findIndex(isStart('split', SHORT_JOB));
  expect(stepsBetween(log, opened, splitStart)).toEqual([]);
  const stitchStart = log.findIndex(isStart('stitch', SHORT_JOB));
  expect(stepsBetween(log, lastFrameRecorded(log, SHORT_JOB), stitchStart)).toEqual([]);
  // Of the long jobs, no step runs meanwhile.
  const steps = log.slice(opened).filter(isAboutStep);
  expect(steps.map(({ msg, step, jobId }) => `${step} of ${jobId}: ${msg}`)).toEqual([
    `split of ${SHORT_JOB}: step started`,
    `split of ${SHORT_JOB}: step finished`,
    `stitch of ${SHORT_JOB}: step started`,
    `stitch of ${SHORT_JOB}: step finished`,
  ]);
  // Its batches wait for no more than the window, of which each worker may have started another part.
  const sent = log.findIndex(({ msg, jobId }) => msg === 'batch sent' && jobId === SHORT_JOB);
  const results = log.slice(sent, lastFrameRecorded(log, SHORT_JOB));
  const ofLongJobs = results.filter(({ jobId, newlyScored = 0 }) => jobId !== SHORT_JOB && newlyScored > 0);
  expect(ofLongJobs.length).toBeLessThan(WINDOW + WORKERS);
});

test(`a stitch starts only when all frames are scored, and each step runs once (${AWAITED.length} jobs)`, async () => {
  for (const jobId of AWAITED)
    await eventually(`${jobId} is closed`, async () => !(await fleet.ledger.isOpen(jobId)));
  await eventually('no step runs', async () => (await fleet.countSteps()).active === 0);
  const log = lines();
  for (const jobId of AWAITED) {
    const status = await readStatus(fleet.fixture.storage.blobs, jobId);
    expect(status).toMatchObject({ state: 'completed', frames: { failed: 0 } });
    const dueAt = lastFrameRecorded(log, jobId);
    expect(dueAt).toBeGreaterThan(0);
    expect(log.findIndex(isStart('stitch', jobId))).toBeGreaterThan(dueAt);
  }
  const runs = stepRunsOf(fleet.logs).filter(({ jobId }) => AWAITED.includes(jobId));
  expect(runs).toHaveLength(2 * AWAITED.length);
  expect(repeatedWithoutKill(runs)).toEqual([]);
});
