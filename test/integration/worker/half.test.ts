/** Graphs with float16 arithmetic in the real runtime, against the same graphs in float32. */
import { existsSync } from 'node:fs';
import path from 'node:path';

import { fromBinary } from '@bufbuild/protobuf';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import sharp from 'sharp';
import { expect, test } from 'vitest';

import { formatOf } from '../../../worker/import/format.ts';
import { ELEMENT_TYPES, readGraph } from '../../../worker/import/graph.ts';
import { toHalf } from '../../../worker/import/half.ts';
import { ModelProtoSchema } from '../../../worker/import/onnx_pb.ts';
import { FRAMES, wrapGraph } from '../../../worker/import/wrap.ts';
import { FRAMES_IN, FRAMES_OUT } from '../../support/frame-model.ts';
import {
  type OnnxPart,
  onnxConstant,
  onnxInput,
  onnxIntegers,
  onnxModel,
  onnxNode,
  onnxOutput,
  toType,
} from '../../support/onnx-writer.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const MODELS = path.resolve('../shared/data/models');
const PICTURE = path.resolve('infra/sample/frame.jpg');
const [HEIGHT, WIDTH] = [6, 8];
const random = seededRandom(7);
const PIXELS = Uint8Array.from({ length: HEIGHT * WIDTH * 3 }, () => Math.floor(random() * 256));

/** Mixes the channels, so that weights matter. */
const WEIGHTS = onnxConstant(
  'weights',
  [3, 3, 1, 1],
  Float32Array.of(0.7, 0.2, 0.1, 0.1, 0.6, 0.3, 0.25, 0.05, 0.7),
);
const CONV = onnxNode('Conv', ['x', 'weights'], ['mixed']);

/** From `x` to `y`, both with the channels first, as pictures. */
function ofPictures(opset: number, ...parts: readonly OnnxPart[]): Buffer {
  const order = (name: string, ...axes: readonly number[]) => [{ name, ints: axes }];
  const graph = [
    FRAMES_IN,
    FRAMES_OUT,
    WEIGHTS,
    onnxNode('Cast', ['frames'], ['floats'], [toType('float32')]),
    onnxNode('Transpose', ['floats'], ['x'], order('perm', 0, 3, 1, 2)),
    ...parts,
    // What follows the last convolution stays float32.
    onnxConstant('eye', [3, 3, 1, 1], Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1)),
    onnxNode('Conv', ['y', 'eye'], ['z']),
    onnxNode('Transpose', ['z'], ['last'], order('perm', 0, 2, 3, 1)),
    onnxNode('Cast', ['last'], ['same'], [toType('uint8')]),
  ];
  return onnxModel({ opset, graph });
}

async function run(model: Uint8Array | undefined): Promise<ArrayLike<number>> {
  if (model === undefined) throw new TypeError('expected a graph that can compute in float16');
  const session = await InferenceSession.create(Buffer.from(model));
  const frames = new Tensor('uint8', PIXELS, [1, HEIGHT, WIDTH, 3]);
  const { same } = await session.run({ frames });
  await session.release();
  return (same?.data ?? []) as Uint8Array;
}

function differences(one: ArrayLike<number>, other: ArrayLike<number>): number[] {
  expect(one.length).toBeGreaterThan(0);
  expect(other).toHaveLength(one.length);
  return Array.from(one, (value, index) => Math.abs(value - (other[index] ?? NaN)));
}

function constantsOf(model: Uint8Array | undefined): Map<string, number> {
  const { graph } = fromBinary(ModelProtoSchema, model ?? new Uint8Array());
  return new Map(graph?.initializer.map(({ name, dataType }) => [name, dataType]));
}

const HALF_WEIGHTS = ['float16/weights', ELEMENT_TYPES.float16] as const;

test.each([7, 9, 11, 13, 15, 18, 20])('a convolution of opset %i computes in float16', async (opset) => {
  const model = ofPictures(
    opset,
    CONV,
    onnxNode('Relu', ['mixed'], ['positive']),
    onnxConstant('tenth', [], Float32Array.of(0.1)),
    onnxNode('Mul', ['positive', 'tenth'], ['less']),
    onnxNode('Sub', ['positive', 'less'], ['y']),
  );
  const half = toHalf(model);
  expect([...constantsOf(half)]).toContainEqual([...HALF_WEIGHTS]);
  expect([...constantsOf(half).keys()]).not.toContain('weights');
  const expected = await run(model);
  expect(Math.max(...differences(expected, await run(half)))).toBeLessThanOrEqual(1);
  expect(Math.max(...differences(expected, await run(toHalf(model, 'simulated'))))).toBeLessThanOrEqual(1);
});

const GRAPHS: Readonly<Record<string, readonly [opset: number, ...parts: readonly OnnxPart[]]>> = {
  'Resize, whose scales stay float32': [
    13,
    CONV,
    onnxConstant('scales', [4], Float32Array.of(1, 1, 2, 2)),
    onnxNode('Resize', ['mixed', '', 'scales'], ['y']),
  ],
  'Upsample, whose scales stay float32': [
    9,
    CONV,
    onnxConstant('scales', [4], Float32Array.of(1, 1, 2, 2)),
    onnxNode('Upsample', ['mixed', 'scales'], ['y']),
  ],
  'a softmax, which stays float32': [
    13,
    CONV,
    onnxConstant('hundredth', [], Float32Array.of(0.01)),
    onnxNode('Mul', ['mixed', 'hundredth'], ['small']),
    onnxNode('Softmax', ['small'], ['shares'], [{ name: 'axis', int: 1 }]),
    onnxConstant('white', [], Float32Array.of(255)),
    onnxNode('Mul', ['shares', 'white'], ['y']),
  ],
  'a mean of squares beyond float16': [
    13,
    CONV,
    onnxNode('Mul', ['mixed', 'mixed'], ['squares']),
    onnxConstant('many', [], Float32Array.of(100)),
    onnxNode('Mul', ['squares', 'many'], ['larger']),
    onnxNode('ReduceMean', ['larger'], ['mean'], [{ name: 'axes', ints: [2, 3] }]),
    onnxNode('Sqrt', ['mean'], ['root']),
    onnxConstant('tenth', [], Float32Array.of(0.1)),
    onnxNode('Mul', ['root', 'tenth'], ['level']),
    onnxNode('Max', ['mixed', 'level'], ['y']),
  ],
  'constants that float16 cannot hold': [
    13,
    CONV,
    onnxConstant('huge', [], Float32Array.of(1e6)),
    onnxConstant('tiny', [], Float32Array.of(1e-6)),
    onnxNode('Mul', ['mixed', 'huge'], ['large']),
    onnxNode('Mul', ['large', 'tiny'], ['y']),
  ],
  'a subgraph that takes a value from around it': [
    13,
    CONV,
    onnxConstant('zero', [], Float32Array.of(0)),
    onnxNode('ReduceMax', ['mixed'], ['highest'], [{ name: 'keepdims', int: 0 }]),
    onnxNode('Greater', ['highest', 'zero'], ['is bright']),
    onnxNode(
      'If',
      ['is bright'],
      ['chosen'],
      [
        { name: 'then_branch', graph: branch('Identity', 'then') },
        { name: 'else_branch', graph: branch('Neg', 'else') },
      ],
    ),
    onnxNode('Relu', ['chosen'], ['y']),
  ],
  'arithmetic with shapes': [
    13,
    CONV,
    onnxNode('Shape', ['mixed'], ['shape']),
    onnxIntegers('first two', [0, 1]),
    onnxNode('Gather', ['shape', 'first two'], ['start']),
    onnxIntegers('rest', [-1]),
    onnxNode('Concat', ['start', 'rest'], ['flat'], [{ name: 'axis', int: 0 }]),
    onnxNode('Reshape', ['mixed', 'flat'], ['row']),
    onnxNode('Reshape', ['row', 'shape'], ['y']),
  ],
};

function branch(operator: string, result: string): OnnxPart[] {
  return [
    onnxNode(operator, ['mixed'], [result]),
    onnxOutput({ name: result, type: 'float32', dims: ['n', 'c', 'h', 'w'] }),
  ];
}

test.each(Object.entries(GRAPHS))('a graph with %s gives the same picture', async (_, [opset, ...parts]) => {
  const model = ofPictures(opset, ...parts);
  const half = toHalf(model);
  expect([...constantsOf(half)]).toContainEqual([...HALF_WEIGHTS]);
  const expected = await run(model);
  expect(new Set(Array.from(expected)).size).toBeGreaterThan(3);
  expect(Math.max(...differences(expected, await run(half)))).toBeLessThanOrEqual(1);
  expect(Math.max(...differences(expected, await run(toHalf(model, 'simulated'))))).toBeLessThanOrEqual(1);
});

test('the simulated graph has the roundings of float16, which the CPU leaves out', async () => {
  // Above 2048, float16 has even numbers only: the sum is odd, and what is left of it is 0 or 2 in place of 1.
  const model = ofPictures(
    13,
    onnxConstant('nothing', [3, 3, 1, 1], new Float32Array(9)),
    onnxConstant('odd', [3], Float32Array.of(4081, 4081, 4081)),
    onnxNode('Conv', ['x', 'nothing', 'odd'], ['large']),
    onnxConstant('below', [], Float32Array.of(-4080)),
    onnxNode('Add', ['large', 'below'], ['y']),
  );
  expect(new Set(Array.from(await run(model)))).toEqual(new Set([1]));
  expect(new Set(Array.from(await run(toHalf(model, 'simulated'))))).toEqual(new Set([0]));
});

test('a graph that is float16 already, or has no weights, gets no second form', () => {
  const none = onnxModel({
    opset: 13,
    graph: [FRAMES_IN, FRAMES_OUT, onnxNode('Identity', ['frames'], ['same'])],
  });
  expect(toHalf(none)).toBeUndefined();
  const model = ofPictures(13, CONV, onnxNode('Relu', ['mixed'], ['y']));
  expect(toHalf(toHalf(model) ?? new Uint8Array())).toBeUndefined();
});

test('inputs and outputs keep their types', async () => {
  const graph = [
    FRAMES_IN,
    onnxInput({ name: 'state', type: 'float32', dims: [1, 3, 'h', 'w'] }),
    onnxOutput({ name: 'next', type: 'float32', dims: [1, 3, 'h', 'w'] }),
    WEIGHTS,
    onnxNode('Cast', ['frames'], ['floats'], [toType('float32')]),
    onnxNode('Transpose', ['floats'], ['x'], [{ name: 'perm', ints: [0, 3, 1, 2] }]),
    CONV,
    onnxNode('Add', ['mixed', 'state'], ['next']),
  ];
  const half = toHalf(onnxModel({ opset: 13, graph }));
  const session = await InferenceSession.create(Buffer.from(half ?? []));
  const types = [...session.inputMetadata, ...session.outputMetadata].map((value) =>
    value.isTensor ? value.type : '',
  );
  expect(types).toEqual(['uint8', 'float32', 'float32']);
  await session.release();
});

test.runIf(existsSync(MODELS)).each([
  ['candy.onnx', 720, { range: '0..255', channels: 'bgr' }, 0.001],
  ['mosaic.onnx', 720, { range: '0..255', channels: 'bgr' }, 0.001],
  ['squeezenet1.1.onnx', 224, { range: '0..1', mean: [0.45], std: [0.23], numbers: true }, 0],
] as const)('%s is close to float32', async (name, side, answers, shareMax) => {
  const imported = await readGraph(path.join(MODELS, name));
  const wrapped = wrapGraph(imported, formatOf(imported, { ...answers, values: new Map() }));
  const pixels = await sharp(PICTURE).resize(side, side, { fit: 'fill' }).removeAlpha().raw().toBuffer();
  const runOn = async (model: Uint8Array | undefined): Promise<Float32Array> => {
    const session = await InferenceSession.create(Buffer.from(model ?? []));
    const frame = new Tensor('uint8', new Uint8Array(pixels), [1, side, side, 3]);
    const outputs = await session.run({ [FRAMES]: frame });
    await session.release();
    return Float32Array.from((outputs[session.outputNames[0] ?? '']?.data ?? []) as ArrayLike<number>);
  };
  const half = toHalf(wrapped);
  expect(half?.length).toBeLessThan(wrapped.length * 0.55);
  await runOn(half);
  const found = differences(await runOn(wrapped), await runOn(toHalf(wrapped, 'simulated')));
  expect(found.filter((difference) => difference > 1).length / found.length).toBeLessThanOrEqual(shareMax);
});
