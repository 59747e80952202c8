/** Bad frames of every kind: each fails alone with its reason, and few engines are started. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { countOf, toRanges } from '../../shared/contract/ranges.ts';
import { type TestFrame, WorkerFixture, countIn } from '../support/worker-fixture.ts';

const FRAMES = 32;
const BAD = 17;

let fixture: WorkerFixture;

beforeAll(async () => {
  fixture = await WorkerFixture.open();
});
afterEach(async () => {
  await fixture.stopWorkers();
  await fixture.clear();
});
afterAll(() => fixture[Symbol.asyncDispose]());

/** `engines` is the most that may be started: one for the batch, and those needed to prove that the frame kills engines. */
test.each<readonly [TestFrame, { kind: string; message: RegExp; attempts: number; engines: number }]>([
  ['error', { kind: 'inference', message: /out of (data )?bound/, attempts: 3, engines: 1 }],
  ['crash', { kind: 'engine', message: /SIGFPE/, attempts: 2, engines: 4 }],
  ['hang', { kind: 'engine', message: /stuck: computing/, attempts: 2, engines: 4 }],
])('a frame of kind %s fails alone with its reason, and the other 31 are scored', async (bad, expected) => {
  const jobId = `job-${bad}`;
  const frames = Array.from({ length: FRAMES }, (_, index) => (index === BAD ? bad : 'ordinary'));
  const batch = await fixture.storeBatch(jobId, frames);
  // No lease is lost and no ordinary frame is stuck, however busy the machine is: each would start another engine.
  const worker = fixture.startWorker({ FRAMEFLEET_LEASE_SECONDS: '60', FRAMEFLEET_STUCK_SECONDS: '10' });
  await fixture.send(batch);

  const results = await fixture.resultsOf(batch);
  await fixture.queueIsEmpty();
  const last = results.at(-1);
  expect(countOf(toRanges(results.flatMap(({ scored }) => scored).flatMap(([a, b]) => range(a, b))))).toBe(
    31,
  );
  expect(last?.failed).toMatchObject([{ kind: expected.kind, frames: [[BAD, BAD + 1]] }]);
  expect(last?.failed[0]?.message).toMatch(expected.message);
  expect((await fixture.scored(jobId)).size).toBe(31);

  const [entry, ...others] = await fixture.takePoison();
  expect(others).toEqual([]);
  expect(entry).toMatchObject({
    reason: expected.kind,
    attempts: expected.attempts,
    batch: { jobId, frames: [[BAD, BAD + 1]], model: batch.model },
  });
  expect(entry?.message).toMatch(expected.message);
  await fixture.stopWorkers();
  const engines = countIn(worker.heard(), 'engine started');
  expect(engines).toBeLessThanOrEqual(expected.engines);
  // No stored frame was run again.
  expect(results.reduce((sum, { framesRun }) => sum + framesRun, 0)).toBe(31);
});

test.each([
  ['run alone', '1'],
  ['run together', '4'],
])(
  'bad frames of every kind in one batch fail each for its own reason, if frames %s',
  async (_how, together) => {
    const jobId = `job-all-bad-${together}`;
    const bad = new Map<number, TestFrame>([
      [0, 'crash'],
      [4, 'hang'],
      [9, 'error'],
      [10, 'error'],
      [31, 'crash'],
    ]);
    const frames = Array.from({ length: FRAMES }, (_, index) => bad.get(index) ?? 'ordinary');
    const batch = await fixture.storeBatch(jobId, frames);
    fixture.startWorker({ FRAMEFLEET_MICRO_BATCH_FRAMES_MAX: together });
    await fixture.send(batch);
    const results = await fixture.resultsOf(batch);
    await fixture.queueIsEmpty();
    expect((await fixture.scored(jobId)).size).toBe(FRAMES - bad.size);
    const failed = new Map(
      results
        .flatMap((result) => result.failed)
        .flatMap(({ kind, frames: ranges }) =>
          ranges.flatMap(([a, b]) => range(a, b).map((i) => [i, kind] as const)),
        ),
    );
    expect(new Map([...failed].toSorted(([a], [b]) => a - b))).toEqual(
      new Map([
        [0, 'engine'],
        [4, 'engine'],
        [9, 'inference'],
        [10, 'inference'],
        [31, 'engine'],
      ]),
    );
  },
);

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, offset) => start + offset);
}
