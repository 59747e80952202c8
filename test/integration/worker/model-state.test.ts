/**
 * A model with a state, run by real workers: each batch starts with the frames before it, its frames are scored in order, and a batch that is
 * interrupted, fails in part or is scored again ends with the pictures that it would have had. The model's pictures show how many frames it
 * has seen.
 */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { segmentBlob } from '../../../shared/contract/blob-names.ts';
import type { BatchMessage } from '../../../shared/contract/messages.ts';
import { indicesOf } from '../../../shared/contract/ranges.ts';
import { segmentsOf } from '../../../shared/contract/segment.ts';
import { firstSplit } from '../../support/build-job.ts';
import { eventually } from '../../support/eventually.ts';
import { LEVELS_PER_FRAME, writeCountingModel } from '../../support/hostile-model.ts';
import { type TestFrame, WorkerFixture, countIn, enginePid } from '../../support/worker-fixture.ts';

const SLOWER = { FRAMEFLEET_LEASE_SECONDS: '60', FRAMEFLEET_STUCK_SECONDS: '10' };

let fixture: WorkerFixture;
let tests = 0;

beforeAll(async () => {
  fixture = await WorkerFixture.open();
  const models = path.join(fixture.folder, 'counting models');
  await writeCountingModel(models);
  await fixture.publish(models);
});
afterEach(async () => {
  await fixture.stopWorkers();
  await fixture.clear();
});
afterAll(() => fixture[Symbol.asyncDispose]());

/** Frames of which those from `frameStart` on are the batch. */
async function storeBatch(
  frames: readonly TestFrame[],
  { frameStart, contextFrames }: { readonly frameStart: number; readonly contextFrames: number },
): Promise<BatchMessage> {
  tests += 1;
  const batch = await fixture.storeBatch(`job-${tests}`, frames, { model: 'counting' });
  return { ...batch, frameStart, contextFrames };
}

/** Long enough to be interrupted. */
function storeSteadyBatch(): Promise<BatchMessage> {
  const frames = Array.from({ length: 20 }, () => 'steady' as const);
  return storeBatch(frames, { frameStart: 4, contextFrames: 2 });
}

async function hashesOf({ jobId }: BatchMessage): Promise<string[]> {
  return [...(await fixture.scored(jobId)).values()];
}

function ordinary(count: number, changes: Readonly<Record<number, TestFrame>> = {}): TestFrame[] {
  return Array.from({ length: count }, (_, index) => changes[index] ?? 'ordinary');
}

/** How many frames the model had seen before each frame of the batch, from the pictures in storage. */
async function countsOf(batch: BatchMessage): Promise<number[]> {
  const counts: number[] = [];
  for (const frames of segmentsOf([batch.frameStart, batch.frameEnd], batch.segmentFrames)) {
    const file = path.join(fixture.folder, 'segment.mp4');
    await fixture.storage.blobs.getFile('scored', segmentBlob(firstSplit(batch.jobId), frames), file);
    const args = ['-v', 'error', '-i', file, '-vf', 'format=gbrp,scale=1:1:flags=area', '-pix_fmt', 'gray'];
    const { stdout } = await promisify(execFile)('ffmpeg', [...args, '-f', 'rawvideo', '-'], {
      encoding: 'buffer',
    });
    counts.push(...[...stdout].map((level) => Math.round(level / LEVELS_PER_FRAME)));
  }
  return counts;
}

async function score(batch: BatchMessage): Promise<void> {
  await fixture.send(batch);
  await fixture.resultsOf(batch);
  await fixture.queueIsEmpty();
}

test.each([
  { what: 'the first batch', frameStart: 0, contextFrames: 3, first: 0 },
  { what: 'a later batch', frameStart: 8, contextFrames: 3, first: 3 },
  { what: 'a batch with fewer frames before it', frameStart: 2, contextFrames: 5, first: 2 },
  { what: 'a batch without context', frameStart: 8, contextFrames: 0, first: 0 },
])('the model counts the frames of $what in order, over all segments', async (options) => {
  const batch = await storeBatch(ordinary(18), options);
  fixture.startWorker(SLOWER);
  await score(batch);
  const length = batch.frameEnd - batch.frameStart;
  expect(await countsOf(batch)).toEqual(Array.from({ length }, (_, index) => options.first + index));
});

test('one segment that is scored again has the same bytes', async () => {
  const batch = await storeBatch(ordinary(16), { frameStart: 4, contextFrames: 2 });
  fixture.startWorker(SLOWER);
  await score(batch);
  const before = await fixture.scored(batch.jobId);
  await fixture.storage.blobs.remove('scored', segmentBlob(firstSplit(batch.jobId), [8, 12]));
  await score(batch);
  expect(await fixture.scored(batch.jobId)).toEqual(before);
});

test('a worker that is killed anywhere in a batch leaves the bytes of an undisturbed one', async () => {
  const [batch, undisturbed] = [await storeSteadyBatch(), await storeSteadyBatch()];
  const worker = fixture.startWorker();
  await fixture.send(batch);
  await eventually('a segment is stored', async () => (await fixture.countScored(batch.jobId)) > 0);
  worker.child.kill('SIGKILL');
  await worker.end;
  const second = fixture.startWorker();
  await fixture.resultsOf(batch);
  expect(countIn(second.heard(), 'batch received')).toBeGreaterThan(0);
  await score(undisturbed);
  expect(await hashesOf(batch)).toEqual(await hashesOf(undisturbed));
});

test('an engine that is killed in a batch leaves the bytes of an undisturbed one', async () => {
  const [batch, undisturbed] = [await storeSteadyBatch(), await storeSteadyBatch()];
  const worker = fixture.startWorker(SLOWER);
  await fixture.send(batch);
  await eventually('a segment is stored', async () => (await fixture.countScored(batch.jobId)) > 0);
  process.kill(enginePid(worker), 'SIGKILL');
  await fixture.resultsOf(batch);
  await score(undisturbed);
  expect(await hashesOf(batch)).toEqual(await hashesOf(undisturbed));
  expect(await fixture.takePoison()).toEqual([]);
});

test('a frame that fails in the model shows the original, and leaves the state as it was', async () => {
  const batch = await storeBatch(ordinary(12, { 6: 'error' }), { frameStart: 4, contextFrames: 2 });
  fixture.startWorker(SLOWER);
  // A frame that has failed is tried by another worker, too.
  fixture.startWorker(SLOWER);
  await fixture.send(batch);
  const results = await fixture.resultsOf(batch);
  expect(results.flatMap(({ failed }) => failed.flatMap(({ frames }) => [...indicesOf(frames)]))).toContain(
    6,
  );
  const [fourth, fifth, failed, ...others] = await countsOf(batch);
  expect([fourth, fifth, ...others]).toEqual([2, 3, 4, 5, 6, 7, 8]);
  expect(failed).not.toBe(4);
});

test('a frame that kills the engine is given up, and the frames after it are scored', async () => {
  const batch = await storeBatch(ordinary(16, { 9: 'crash' }), { frameStart: 4, contextFrames: 2 });
  fixture.startWorker(SLOWER);
  await score(batch);
  const counts = await countsOf(batch);
  expect(counts.toSpliced(5, 1)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  expect((await fixture.takePoison()).map(({ batch: of }) => of?.frames)).toEqual([[[9, 10]]]);
});

test('a frame before the batch that kills the engine is skipped, and is no failure of this batch', async () => {
  const batch = await storeBatch(ordinary(12, { 1: 'crash' }), { frameStart: 4, contextFrames: 4 });
  const worker = fixture.startWorker(SLOWER);
  await fixture.send(batch);
  const results = await fixture.resultsOf(batch);
  expect(results.flatMap(({ failed }) => failed)).toEqual([]);
  const [first = 0, ...others] = await countsOf(batch);
  // Of the four, that frame is skipped, and the next one if it was waiting for the device whenever the engine died.
  expect([2, 3]).toContain(first);
  expect(others).toEqual(Array.from({ length: 7 }, (_, index) => first + index + 1));
  expect(await fixture.takePoison()).toEqual([]);
  expect(countIn(worker.heard(), 'engine started')).toBe(3);
});
