/** A real worker whose engine runs several frames at once, on the CPU. */
import path from 'node:path';

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { countOf } from '../../../shared/contract/ranges.ts';
import { eventually } from '../../support/eventually.ts';
import { writeHungryModel } from '../../support/hungry-model.ts';
import { type TestFrame, WorkerFixture, countIn, enginePid } from '../../support/worker-fixture.ts';

const FRAMES = 11;
const TOGETHER = { FRAMEFLEET_MICRO_BATCH_FRAMES_MAX: '4' };

let fixture: WorkerFixture;
beforeAll(async () => {
  fixture = await WorkerFixture.open();
  const models = path.join(fixture.folder, 'hungry-models');
  await writeHungryModel(models, { framesMax: 2 });
  await writeHungryModel(models, { name: 'starving', framesMax: 0 });
  await fixture.publish(models);
});
afterEach(async () => {
  await fixture.stopWorkers();
  await fixture.clear();
});
afterAll(() => fixture[Symbol.asyncDispose]());

const colours: readonly TestFrame[] = ['ordinary', 'error', 'steady', 'crash', 'slow'];
const frames = Array.from({ length: FRAMES }, (_, index) => colours[index % colours.length] ?? 'ordinary');

test('frames that run together give the same segments as single frames', async () => {
  const segments: string[][] = [];
  for (const [jobId, environment] of [
    ['job-single', {}],
    ['job-together', TOGETHER],
  ] as const) {
    const worker = fixture.startWorker(environment);
    const batch = await fixture.storeBatch(jobId, frames, { model: 'identity' });
    await fixture.send(batch);
    await fixture.resultsOf(batch);
    segments.push([...(await fixture.scored(jobId)).values()]);
    await fixture.stopWorkers();
    expect(countIn(worker.heard(), 'micro-batch reduced')).toBe(0);
  }
  expect(segments[0]).toHaveLength(FRAMES);
  expect(segments[1]).toEqual(segments[0]);
});

test('memory that runs out halves the micro-batch once, no frame fails, and a new engine starts with what worked', async () => {
  const worker = fixture.startWorker(TOGETHER);
  const first = await fixture.storeBatch('job-hungry', frames, { model: 'hungry' });
  await fixture.send(first);
  const results = await fixture.resultsOf(first);
  expect(results.flatMap(({ failed }) => failed)).toEqual([]);
  const pid = enginePid(worker);
  process.kill(pid, 'SIGKILL');
  await eventually('the engine has ended', () => countIn(worker.heard(), '"engine ended"') === 1);
  const second = await fixture.storeBatch('job-hungry-again', frames, { model: 'hungry' });
  await fixture.send(second);
  expect(countOf((await fixture.resultsOf(second)).flatMap(({ scored }) => scored))).toBe(FRAMES);
  await fixture.stopWorkers();
  expect(enginePid(worker)).not.toBe(pid);
  expect(countIn(worker.heard(), '"from":4,"to":2')).toBe(1);
  expect(countIn(worker.heard(), 'micro-batch reduced')).toBe(1);
});

test('a frame that does not fit into memory alone fails with that reason', async () => {
  const worker = fixture.startWorker(TOGETHER);
  const batch = await fixture.storeBatch('job-starving', ['ordinary', 'ordinary'], { model: 'starving' });
  await fixture.send(batch);
  const results = await fixture.resultsOf(batch);
  expect(results.at(-1)?.failed).toMatchObject([{ kind: 'inference', frames: [[0, 2]] }]);
  expect(results.at(-1)?.failed[0]?.message).toContain('out of memory for a single frame');
  expect(countIn(worker.heard(), 'engine started')).toBe(1);
});
