/** Frames and models that kill workers or engines: the worker blames the right one and nothing else. */
import { createHash } from 'node:crypto';

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { modelBlob } from '../../shared/contract/blob-names.ts';
import { countOf } from '../../shared/contract/ranges.ts';
import { eventually } from '../support/eventually.ts';
import { WorkerFixture, countIn } from '../support/worker-fixture.ts';

let fixture: WorkerFixture;

beforeAll(async () => {
  fixture = await WorkerFixture.open();
});
afterEach(async () => {
  await fixture.stopWorkers();
  await fixture.clear();
});
afterAll(() => fixture[Symbol.asyncDispose]());

/**
 * Starts a worker and kills it once its log contains the text and this many frames are scored, as if a frame had killed the instance.
 * Returns its log.
 */
async function killedAfter(text: string, jobId: string, scored: number): Promise<string> {
  const worker = fixture.startWorker({ FRAMEFLEET_STUCK_SECONDS: '300' });
  await worker.said(text);
  await eventually(`${scored} frames are scored`, async () => (await fixture.countScored(jobId)) === scored);
  worker.child.kill('SIGKILL');
  return (await worker.end).stdout;
}

test('a frame that kills workers is tried alone, and given up after two deaths', async () => {
  const jobId = 'job-deadly';
  const deadly = 2;
  // It hangs, so a worker cannot get past it before it is killed.
  const frames = Array.from({ length: 6 }, (_, index) => (index === deadly ? 'hang' : 'ordinary'));
  const batch = await fixture.storeBatch(jobId, frames, { segmentFrames: 2 });
  await fixture.send(batch);
  for (let death = 1; death <= 3; death += 1) {
    expect(await killedAfter('batch received', jobId, 0)).toContain('"approach":"together"');
  }
  const trying = `"frame":${deadly},"msg":"trying frame alone"`;
  expect(await killedAfter(trying, jobId, 2)).toContain('"approach":"alone"');
  // The batch makes progress again, so only the suspect is tried alone, after all other segments are stored.
  const again = await killedAfter(trying, jobId, 4);
  expect(again).toContain('"approach":"together"');
  expect(countIn(again, 'trying frame alone')).toBe(1);
  fixture.startWorker();
  const results = await fixture.resultsOf(batch);
  expect(results.at(-1)?.failed).toEqual([
    {
      kind: 'engine',
      message: '2 workers or engines died while processing this frame',
      frames: [[deadly, deadly + 1]],
    },
  ]);
  expect(countOf(results.at(-1)?.scored ?? [])).toBe(5);
  await fixture.queueIsEmpty();
  expect(await fixture.takePoison()).toMatchObject([{ reason: 'engine', attempts: 2 }]);
});

test('a batch whose model is not the pinned one is given up at once, and the next job is not affected', async () => {
  const batch = await fixture.storeBatch('job-other-model', ['ordinary', 'ordinary'], { model: 'identity' });
  const pinned = { ...batch, model: { ...batch.model, sha256: 'ab'.repeat(32) } };
  const next = await fixture.storeBatch('job-next', ['ordinary', 'ordinary'], { model: 'identity' });
  await fixture.send(pinned);
  const worker = fixture.startWorker();
  const [result] = await fixture.resultsOf(pinned);
  expect(result?.failed).toMatchObject([{ kind: 'model', frames: [[0, 2]] }]);
  expect(result?.failed[0]?.message).toContain('not the one that the job pinned');
  await fixture.send(next);
  expect(countOf((await fixture.resultsOf(next))[0]?.scored ?? [])).toBe(2);
  await fixture.queueIsEmpty();
  expect(await fixture.takePoison()).toMatchObject([{ reason: 'model', batch: { frames: [[0, 2]] } }]);
  expect(countIn(worker.heard(), 'engine started')).toBe(1);
});

test('a batch whose model file is not a model is given up in its first delivery, and no engine dies', async () => {
  const { blobs } = fixture.storage;
  const graph = 'this is no graph';
  const reference = {
    name: 'broken',
    version: '1',
    sha256: createHash('sha256').update(graph).digest('hex'),
  };
  const identity = String(
    await blobs.get('models', modelBlob({ name: 'identity', version: '1' }, 'model.json')),
  );
  const manifest = { ...(JSON.parse(identity) as object), ...reference };
  await blobs.put('models', modelBlob(reference, 'model.onnx'), graph);
  await blobs.put('models', modelBlob(reference, 'model.json'), JSON.stringify(manifest));
  const batch = await fixture.storeBatch('job-broken', ['ordinary'], { model: 'identity' });
  const worker = fixture.startWorker();
  await fixture.send({ ...batch, model: reference });
  const result = await fixture.nextResult();
  expect(result.failed).toMatchObject([{ kind: 'model', frames: [[0, 1]] }]);
  expect(result.failed[0]?.message).toContain('The model cannot be loaded: cpu: ');
  await fixture.queueIsEmpty();
  await fixture.stopWorkers();
  expect(worker.heard()).toContain('"interruption":"model"');
  expect(countIn(worker.heard(), 'delivery ended')).toBe(1);
  expect(countIn(worker.heard(), 'engine started')).toBe(1);
});
