/** The steady form of a model, in the real runtime: what stays still, what changes, and what happens at a cut. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { type ModelManifest, modelManifest } from '../../../shared/contract/model-manifest.ts';
import { checkGraph } from '../../../worker/engine/check-model.ts';
import { type StateOfModel, stateOf } from '../../../worker/engine/inference-client.ts';
import { makeSteady } from '../../../worker/import/steady.ts';
import { FRAMES_IN, FRAMES_OUT } from '../../support/frame-model.ts';
import { writeIdentityModel } from '../../support/identity-model.ts';
import { onnxModel, onnxNode } from '../../support/onnx-writer.ts';
import { testFolder } from '../../support/servers.ts';

/** In grey levels, one for each pixel. */
type Frame = readonly number[];

let plain: ModelManifest;
let manifest: ModelManifest;
let session: InferenceSession;

beforeAll(async () => {
  const folder = await testFolder();
  await writeIdentityModel(folder);
  const at = (file: string): string => path.join(folder, 'identity', file);
  plain = modelManifest.parse(JSON.parse(await readFile(at('model.json'), 'utf8')));
  const { bytes, changes } = makeSteady(await readFile(at('identity.onnx')), plain);
  manifest = { ...plain, ...changes };
  session = await InferenceSession.create(bytes);
});
afterAll(() => session.release());

/** What the model returns for frames of one row, one after the other. */
async function run(frames: readonly Frame[], on = 1, model = session): Promise<number[][]> {
  const results: number[][] = [];
  const width = frames[0]?.length ?? 0;
  const tensors = stateOf(manifest, { width, height: 1 }) ?? [];
  const state = new Map(tensors.map((one) => [one.input, zeros(one)]));
  for (const frame of frames) {
    const pixels = Uint8Array.from(frame.flatMap((level) => [level, level, level]));
    const outputs = await model.run({
      [manifest.input.name]: new Tensor('uint8', pixels, [1, 1, width, 3]),
      steady: new Tensor('float32', Float32Array.of(on, 1 - on), [1, 2]),
      ...Object.fromEntries(state),
    });
    for (const { input, output } of tensors) {
      const next = outputs[output];
      if (next !== undefined) state.set(input, next);
    }
    const scored = outputs['name' in manifest.output ? manifest.output.name : '']?.data as Uint8Array;
    results.push(frame.map((_, pixel) => scored[pixel * 3] ?? -1));
  }
  return results;
}

function zeros({ type, dims }: StateOfModel): Tensor {
  const length = dims.reduce((product, side) => product * side, 1);
  return type === 'uint8'
    ? new Tensor(type, new Uint8Array(length), dims)
    : new Tensor('float32', new Float32Array(length), dims);
}

test('the graph is what its model.json says', () => {
  const values = (list: readonly InferenceSession.ValueMetadata[]) =>
    list.map((value) => ({
      name: value.name,
      type: value.isTensor ? value.type : '',
      shape: value.isTensor ? value.shape : [],
    }));
  const graph = { inputs: values(session.inputMetadata), outputs: values(session.outputMetadata) };
  expect(() => checkGraph(manifest, graph)).not.toThrow();
});

test.each([7, 10, 11, 13, 18, 20])('a graph of opset %i runs', async (opset) => {
  const identity = onnxModel({
    opset,
    graph: [FRAMES_IN, FRAMES_OUT, onnxNode('Identity', ['frames'], ['same'])],
  });
  const { bytes } = makeSteady(identity, plain);
  const other = await InferenceSession.create(bytes);
  // k: 1 for the start, then 0.15 and 1.
  const frames: readonly Frame[] = [
    [100, 100],
    [102, 120],
  ];
  expect(await run(frames, 1, other)).toEqual([
    [100, 100],
    [100, 120],
  ]);
  await other.release();
});

test('the first frame is what the model returns', async () => {
  expect(await run([[100, 0, 255]])).toEqual([[100, 0, 255]]);
});

test('noise is kept out, a change is followed, and a change in between is followed in part', async () => {
  const [, second] = await run([
    [100, 100, 100, 100],
    [102, 99, 120, 106],
  ]);
  // k: 0.15, 0.15, 1 and (6 - 2) / 8.
  expect(second).toEqual([100, 100, 120, 103]);
});

test('a pixel that has changed slowly arrives within a few levels', async () => {
  const results = await run(Array.from({ length: 60 }, (_, index) => [100 + Math.min(40, index)]));
  expect(Math.abs((results.at(-1)?.[0] ?? 0) - 140)).toBeLessThanOrEqual(4);
});

test('at a scene cut, pixels that happen to be equal are new, too', async () => {
  const before: Frame = [10, 10, 10, 50];
  const after: Frame = [90, 90, 90, 51];
  expect((await run([before, after]))[1]).toEqual(after);
});

test('turned off, each frame is what the model returns', async () => {
  const frames: readonly Frame[] = [
    [100, 100],
    [102, 98],
    [101, 99],
  ];
  expect(await run(frames, 0)).toEqual(frames);
});
