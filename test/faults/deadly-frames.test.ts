/** Frames and models that take whole workers or every engine with them: what is blamed, and what is not. */
import { createHash } from 'node:crypto';

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { modelBlob } from '../../shared/contract/blob-names.ts';
import { countOf } from '../../shared/contract/ranges.ts';
import { WorkerBench, countIn } from '../support/worker-bench.ts';

let bench: WorkerBench;

beforeAll(async () => {
  bench = await WorkerBench.open();
});
afterEach(async () => {
  await bench.stopWorkers();
  await bench.clear();
});
afterAll(() => bench[Symbol.asyncDispose]());

/** As if the frame took the machine with it: killed as soon as it is tried. */
async function killedWhen(said: string): Promise<string> {
  const worker = bench.startWorker();
  await worker.said(said);
  worker.child.kill('SIGKILL');
  return (await worker.end).stdout;
}

test('a frame that takes whole workers with it is found by trying carefully, and two deaths are its proof', async () => {
  const deadly = 2;
  const frames = Array.from({ length: 6 }, (_, index) => (index === deadly ? 'slow' : 'ordinary'));
  const batch = await bench.storeBatch('job-deadly', frames);
  await bench.send(batch);
  for (let death = 1; death <= 3; death += 1) {
    expect(await killedWhen('batch received')).toContain('"approach":"at-once"');
  }
  const careful = await killedWhen(`"frame":${deadly},"msg":"trying a frame alone"`);
  expect(careful).toContain('"approach":"carefully"');
  // The batch gets on again; only the suspect is tried alone, when all others are stored.
  const again = await killedWhen(`"frame":${deadly},"msg":"trying a frame alone"`);
  expect(again).toContain('"approach":"at-once"');
  expect(await bench.countScored('job-deadly')).toBe(5);
  bench.startWorker();
  const results = await bench.resultsOf(batch);
  expect(results.at(-1)?.failed).toEqual([
    {
      kind: 'engine',
      message: '2 workers or engines died while they tried it',
      frames: [[deadly, deadly + 1]],
    },
  ]);
  expect(countOf(results.at(-1)?.scored ?? [])).toBe(5);
  await bench.queueIsEmpty();
  expect(await bench.takePoison()).toMatchObject([{ reason: 'engine', attempts: 2 }]);
});

test('a model that is not what the job pinned is hopeless at once, and no frame of the next job suffers', async () => {
  const batch = await bench.storeBatch('job-other-model', ['ordinary', 'ordinary'], { model: 'identity' });
  const pinned = { ...batch, model: { ...batch.model, sha256: 'ab'.repeat(32) } };
  const next = await bench.storeBatch('job-next', ['ordinary', 'ordinary'], { model: 'identity' });
  await bench.send(pinned);
  const worker = bench.startWorker();
  const [result] = await bench.resultsOf(pinned);
  expect(result?.failed).toMatchObject([{ kind: 'model', frames: [[0, 2]] }]);
  expect(result?.failed[0]?.message).toContain('not the one the job was made with');
  await bench.send(next);
  expect(countOf((await bench.resultsOf(next))[0]?.scored ?? [])).toBe(2);
  await bench.queueIsEmpty();
  expect(await bench.takePoison()).toMatchObject([{ reason: 'model', batch: { frames: [[0, 2]] } }]);
  expect(countIn(worker.heard(), 'engine started')).toBe(1);
});

test('a file that is no model is given up with its first delivery, and no engine dies of it', async () => {
  const { blobs } = bench.storage;
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
  const batch = await bench.storeBatch('job-broken', ['ordinary'], { model: 'identity' });
  const worker = bench.startWorker();
  await bench.send({ ...batch, model: reference });
  const result = await bench.nextResult();
  expect(result.failed).toMatchObject([{ kind: 'model', frames: [[0, 1]] }]);
  expect(result.failed[0]?.message).toContain('It cannot be loaded: cpu: ');
  await bench.queueIsEmpty();
  await bench.stopWorkers();
  expect(worker.heard()).toContain('"interruption":"model"');
  expect(countIn(worker.heard(), 'delivery ended')).toBe(1);
  expect(countIn(worker.heard(), 'engine started')).toBe(1);
});
