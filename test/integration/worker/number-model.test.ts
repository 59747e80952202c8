/**
 * A model that returns numbers in place of a picture, run by real workers: one line for each frame, in order; a frame that fails has a line
 * that says so; and a segment has the same bytes after its engine was killed.
 */
import path from 'node:path';

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { segmentBlob } from '../../../shared/contract/blob-names.ts';
import type { BatchMessage } from '../../../shared/contract/messages.ts';
import { segmentsOf } from '../../../shared/contract/segment.ts';
import { firstSplit } from '../../support/build-job.ts';
import { eventually } from '../../support/eventually.ts';
import { HOSTILE_FRAMES, writeMeasuringModel } from '../../support/hostile-model.ts';
import { type TestFrame, WorkerFixture, enginePid } from '../../support/worker-fixture.ts';

/** JPEG changes plain colours by a level or two. */
const TOLERANCE = 3;
const SLOWER = { FRAMEFLEET_LEASE_SECONDS: '60', FRAMEFLEET_STUCK_SECONDS: '10' };

let fixture: WorkerFixture;
let tests = 0;

beforeAll(async () => {
  fixture = await WorkerFixture.open();
  const models = path.join(fixture.folder, 'measuring models');
  await writeMeasuringModel(models);
  await fixture.publish(models);
});
afterEach(async () => {
  await fixture.stopWorkers();
  await fixture.clear();
});
afterAll(() => fixture[Symbol.asyncDispose]());

interface Line {
  readonly frame: number;
  readonly failed?: true;
  readonly outputs?: { readonly means: readonly number[] };
}

async function storeBatch(frames: readonly TestFrame[]): Promise<BatchMessage> {
  tests += 1;
  return fixture.storeBatch(`job-${tests}`, frames, { model: 'measuring' });
}

async function linesOf(batch: BatchMessage): Promise<Line[]> {
  const lines: Line[] = [];
  for (const frames of segmentsOf([batch.frameStart, batch.frameEnd], batch.segmentFrames)) {
    const bytes = await fixture.storage.blobs.get(
      'scored',
      segmentBlob(firstSplit(batch.jobId), frames, 'ndjson'),
    );
    const text = String(bytes);
    expect(text.endsWith('\n')).toBe(true);
    lines.push(
      ...text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Line),
    );
  }
  return lines;
}

function expectMeans({ outputs }: Line, { r, g, b }: { r: number; g: number; b: number }): void {
  for (const [channel, level] of [r, g, b].entries())
    expect(Math.abs((outputs?.means[channel] ?? Number.NaN) - level)).toBeLessThanOrEqual(TOLERANCE);
}

test('each frame has a line with what the model says of it', async () => {
  const batch = await storeBatch(['ordinary', 'steady', 'ordinary', 'slow', 'ordinary', 'ordinary']);
  fixture.startWorker(SLOWER);
  await fixture.send(batch);
  const [result] = await fixture.resultsOf(batch);
  expect(result?.scored).toEqual([[0, 6]]);
  const lines = await linesOf(batch);
  expect(lines.map(({ frame }) => frame)).toEqual([0, 1, 2, 3, 4, 5]);
  const colours = ['ordinary', 'steady', 'ordinary', 'slow', 'ordinary', 'ordinary'] as const;
  for (const [index, colour] of colours.entries())
    expectMeans(lines[index] ?? { frame: -1 }, HOSTILE_FRAMES[colour]);
});

test('frames that fail or kill the engine have a line that says so, and the others have their numbers', async () => {
  const batch = await storeBatch(['ordinary', 'error', 'ordinary', 'ordinary', 'crash', 'steady']);
  fixture.startWorker(SLOWER);
  await fixture.send(batch);
  const results = await fixture.resultsOf(batch);
  expect(results.flatMap(({ failed }) => failed.flatMap(({ frames }) => frames))).toEqual(
    expect.arrayContaining([
      [1, 2],
      [4, 5],
    ]),
  );
  const lines = await linesOf(batch);
  expect(lines.filter(({ failed }) => failed === true).map(({ frame }) => frame)).toEqual([1, 4]);
  for (const index of [0, 2, 3]) expectMeans(lines[index] ?? { frame: -1 }, HOSTILE_FRAMES.ordinary);
  expectMeans(lines[5] ?? { frame: -1 }, HOSTILE_FRAMES.steady);
});

test('a batch whose engine is killed ends with the bytes that it would have had', async () => {
  const frames = Array.from({ length: 24 }, () => 'steady' as const);
  const undisturbed = await storeBatch(frames);
  const worker = fixture.startWorker(SLOWER);
  await fixture.send(undisturbed);
  await fixture.resultsOf(undisturbed);
  const disturbed = await storeBatch(frames);
  await fixture.send(disturbed);
  await eventually('a segment is stored', async () => (await fixture.countScored(disturbed.jobId)) > 0);
  process.kill(enginePid(worker), 'SIGKILL');
  await fixture.resultsOf(disturbed);
  expect(await linesOf(disturbed)).toEqual(await linesOf(undisturbed));
});
