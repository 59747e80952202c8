/**
 * Which of a model's two files a real worker runs, on the CPU: as told, or float32 if float16 does not work. The float32 file returns its
 * frames unchanged; the other one returns them inverted, fails or crashes, so that a result shows which one ran.
 */
import { globSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { modelBlob, segmentBlob } from '../../../shared/contract/blob-names.ts';
import { toHalf } from '../../../worker/import/half.ts';
import { firstSplit } from '../../support/build-job.ts';
import { enqueue, startStackCommand } from '../../support/commands.ts';
import { FRAMES_IN, FRAMES_OUT, writeFrameModel } from '../../support/frame-model.ts';
import { writeHostileModel } from '../../support/hostile-model.ts';
import { H264, ffmpeg, meanColour, picture } from '../../support/media-clips.ts';
import {
  type OnnxPart,
  onnxConstant,
  onnxIntegers,
  onnxModel,
  onnxNode,
  toType,
} from '../../support/onnx-writer.ts';
import { type TestFrame, WorkerFixture } from '../../support/worker-fixture.ts';

const HALF = { FRAMEFLEET_PRECISION: 'float16' };
const UNCHANGED = [64, 128, 192];
const INVERTED = [191, 127, 63];

let fixture: WorkerFixture;

const ofFrames = (...parts: readonly OnnxPart[]): Buffer =>
  onnxModel({ opset: 13, graph: [FRAMES_IN, FRAMES_OUT, ...parts] });
const IDENTITY = ofFrames(onnxNode('Identity', ['frames'], ['same']));
const INVERTING = ofFrames(
  onnxNode('Cast', ['frames'], ['floats'], [toType('float32')]),
  onnxConstant('white', [], Float32Array.of(255)),
  onnxNode('Sub', ['white', 'floats'], ['inverted']),
  onnxNode('Cast', ['inverted'], ['same'], [toType('uint8')]),
);
/** It loads, and fails on each frame. */
const FAILING = ofFrames(onnxIntegers('wrong', [7, 7]), onnxNode('Reshape', ['frames', 'wrong'], ['same']));
/** It takes floats in place of bytes. */
const OTHER = onnxModel({
  opset: 13,
  graph: [FRAMES_OUT, onnxNode('Constant', [], ['same'])],
});

beforeAll(async () => {
  fixture = await WorkerFixture.open();
  const models = path.join(fixture.folder, 'models of two files');
  const crashing = await readFile(await writeHostileModel(path.join(fixture.folder, 'crashing')));
  const files = {
    inverting: INVERTING,
    failing: FAILING,
    other: OTHER,
    broken: Buffer.from('no graph'),
    crashing,
  };
  for (const [name, half] of Object.entries(files)) await writeFrameModel(models, name, IDENTITY, { half });
  await fixture.publish(models);
});
afterEach(async () => {
  await fixture.stopWorkers();
  await fixture.clear();
});
afterAll(() => fixture[Symbol.asyncDispose]());

let jobs = 0;

/** The mean colour of a batch of six frames of one colour. */
async function score(model: string, environment: Record<string, string>, frame: TestFrame = 'ordinary') {
  jobs += 1;
  const jobId = `job-${jobs}`;
  const batch = await fixture.storeBatch(
    jobId,
    Array.from({ length: 6 }, () => frame),
    { model },
  );
  const worker = fixture.startWorker(environment);
  await fixture.send(batch);
  const results = await fixture.resultsOf(batch);
  const failed = results.flatMap((result) => result.failed);
  const segment = path.join(fixture.folder, `${jobId}.mp4`);
  if (failed.length === 0)
    await fixture.storage.blobs.getFile('scored', segmentBlob(firstSplit(jobId), [0, 4]), segment);
  return { failed, log: () => worker.heard(), colour: failed.length === 0 ? await meanColour(segment) : [] };
}

function expectColour(found: readonly number[], expected: readonly number[]): void {
  expect(found).toHaveLength(3);
  for (const [channel, value] of found.entries())
    expect(Math.abs(value - (expected[channel] ?? 0))).toBeLessThanOrEqual(3);
}

test('a worker on the CPU runs float32 unless it is told otherwise', async () => {
  const { colour, log } = await score('inverting', {});
  expectColour(colour, UNCHANGED);
  expect(log()).toContain('"precision":"float32"');
});

test('a worker that is told to runs float16', async () => {
  const { colour, log } = await score('inverting', HALF);
  expectColour(colour, INVERTED);
  expect(log()).toContain('"precision":"float16"');
  expect(log()).not.toContain('float16 refused');
});

test.each([
  ['does not load', 'broken', /float16 refused, float32 is used/],
  ['is not what model.json says', 'other', /float16 refused, float32 is used/],
  [
    'fails on its first frame',
    'failing',
    /"reason":"[^"]*(?:Reshape|reshape).*float16 refused, float32 is used/,
  ],
])('a worker runs float32 if the float16 file %s', async (_, model, refusal) => {
  const { colour, log } = await score(model, HALF);
  expectColour(colour, UNCHANGED);
  expect(log()).toMatch(refusal);
});

test('a worker runs float32 after its engine has crashed on the first frame in float16', async () => {
  const { failed, colour, log } = await score('crashing', HALF, 'crash');
  expect(failed).toEqual([]);
  expectColour(colour, [0, 0, 0]);
  expect(log()).toContain('"precision":"float16"');
  expect(log()).toContain('"precision":"float32"');
});

test('a second file that is not the one that the job pinned fails the job, and the message names it', async () => {
  await fixture.storage.blobs.put(
    'models',
    modelBlob({ name: 'inverting', version: '1' }, 'model-float16.onnx'),
    'another file',
  );
  const { failed } = await score('inverting', {
    ...HALF,
    FRAMEFLEET_MODEL_CACHE: path.join(fixture.folder, 'empty'),
  });
  expect(failed).toMatchObject([{ kind: 'model', frames: [[0, 6]] }]);
  expect(failed[0]?.message).toMatch(
    /^The model-float16\.onnx of the published model inverting\/1 is not the one that the job pinned: its sha256 is [0-9a-f]{12}…\./,
  );
});

test('workers of both precisions share a job', async () => {
  const eye = Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1);
  const model = ofFrames(
    onnxNode('Cast', ['frames'], ['floats'], [toType('float32')]),
    onnxNode('Transpose', ['floats'], ['x'], [{ name: 'perm', ints: [0, 3, 1, 2] }]),
    onnxConstant('eye', [3, 3, 1, 1], eye),
    onnxNode('Conv', ['x', 'eye'], ['y']),
    onnxNode('Transpose', ['y'], ['z'], [{ name: 'perm', ints: [0, 2, 3, 1] }]),
    onnxNode('Cast', ['z'], ['same'], [toType('uint8')]),
  );
  const half = toHalf(model);
  expect(half).toBeDefined();
  const models = path.join(fixture.folder, 'converted');
  await writeFrameModel(models, 'converted', model, { ...(half && { half }) });
  await fixture.publish(models);
  const workers = [fixture.startWorker(HALF), fixture.startWorker({ FRAMEFLEET_PRECISION: 'float32' })];
  const frames = Array.from({ length: 8 }, () => 'slow' as const);
  const batches = await Promise.all(
    Array.from({ length: 4 }, (_, index) =>
      fixture.storeBatch(`job-shared-${index}`, frames, { model: 'converted' }),
    ),
  );
  for (const batch of batches) await fixture.send(batch);
  const open = new Set(batches.map(({ jobId }) => jobId));
  while (open.size > 0) {
    const { jobId, failed } = await fixture.nextResult();
    expect(failed).toEqual([]);
    open.delete(jobId);
  }
  for (const { jobId } of batches) {
    const segment = path.join(fixture.folder, `${jobId}.mp4`);
    await fixture.storage.blobs.getFile('scored', segmentBlob(firstSplit(jobId), [0, 4]), segment);
    expectColour(await meanColour(segment), [0, 0, 255]);
  }
  const logs = workers.map((worker) => worker.heard()).join('\n');
  expect(logs).not.toContain('float16 refused');
});

test('a whole job with the painter runs in float16 on a fleet that is told to', async () => {
  const clip = path.join(fixture.folder, 'clip.mp4');
  await ffmpeg([...picture({ size: '160x90', rate: '10', seconds: 2 }), ...H264, clip]);
  const localFolder = path.join(fixture.folder, 'fleet');
  const result = path.join(fixture.folder, 'result.mp4');
  const fleet = startStackCommand({ localFolder, environment: HALF });
  await fleet.said('The local fleet is running');
  const { status, stderr } = await enqueue([clip, '--no-doctor', '--out', result], { localFolder }).end;
  // The fleet removes its folder when it stops.
  const logs = globSync(path.join(localFolder, '**', '*.log')).map((file) => readFileSync(file, 'utf8'));
  fleet.child.kill('SIGTERM');
  await fleet.end;
  expect({ status, stderr }).toMatchObject({ status: 0 });
  expect(logs.join('\n')).toContain('"precision":"float16"');
  expect((await readFile(result)).length).toBeGreaterThan(1_000);
});
