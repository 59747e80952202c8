import { describe, expect, test } from 'vitest';

import { modelManifest } from '../../shared/contract/model-manifest.ts';
import {
  type GraphValue,
  type ModelGraph,
  ModelMismatchError,
  checkGraph,
  checkOutput,
  framesPerRunOf,
} from '../../worker/engine/check-model.ts';
import { isModelAtFault, isShortOfMemory } from '../../worker/engine/refusal.ts';

const PIXELS = { type: 'uint8', layout: 'NHWC', channels: 'rgb' };
const MANIFEST = modelManifest.parse({
  name: 'painter',
  version: '1',
  file: 'painter.onnx',
  sha256: 'a'.repeat(64),
  input: { name: 'frames', ...PIXELS, size: 'any' },
  output: { name: 'stylized', ...PIXELS, scale: 2 },
  parameters: { style: { type: 'float32', values: [{ id: 'candy' }, { id: 'wave' }] } },
});

const PICTURES = {
  output: { name: 'stylized', type: 'uint8', layout: 'NHWC', channels: 'rgb', scale: 2 },
} as const;

const FRAMES: GraphValue = { name: 'frames', type: 'uint8', shape: ['batch', 'height', 'width', 3] };
const STYLE: GraphValue = { name: 'style', type: 'float32', shape: [1, 2] };
const STYLIZED: GraphValue = { name: 'stylized', type: 'uint8', shape: ['batch', 'h2', 'w2', 3] };
const GRAPH: ModelGraph = { inputs: [FRAMES, STYLE], outputs: [STYLIZED] };

test.for([
  ['as model.json declares it', GRAPH],
  ['that does not describe its shape', { inputs: [{ ...FRAMES, shape: [] }, STYLE], outputs: [STYLIZED] }],
  ['with a batch of one', { inputs: [{ ...FRAMES, shape: [1, -1, -1, 3] }, STYLE], outputs: [STYLIZED] }],
  ['with a second output', { inputs: GRAPH.inputs, outputs: [STYLIZED, { ...STYLIZED, name: 'mask' }] }],
] as const)('a graph %s is accepted', ([, graph]) => {
  expect(() => checkGraph(MANIFEST, graph)).not.toThrow();
});

describe('a graph that does not match model.json is refused with the difference:', () => {
  const input = (fields: Partial<GraphValue>): ModelGraph => ({
    ...GRAPH,
    inputs: [{ ...FRAMES, ...fields }, STYLE],
  });
  const output = (fields: Partial<GraphValue>): ModelGraph => ({
    ...GRAPH,
    outputs: [{ ...STYLIZED, ...fields }],
  });
  test.for([
    [
      'another name',
      input({ name: 'image' }),
      'model.json declares the input "frames", but the inputs of the graph are: image, style.',
    ],
    [
      'no output',
      { ...GRAPH, outputs: [] },
      'model.json declares the output "stylized", but the outputs of the graph are: none.',
    ],
    [
      'another type',
      input({ type: 'float16' }),
      'The input "frames" is float16, but model.json declares uint8.',
    ],
    [
      'channels first',
      input({ shape: [1, 3, 'height', 'width'] }),
      'The input "frames" is 1 x 3 x height x width, but model.json declares batch x height x width x 3.',
    ],
    [
      'one size',
      input({ shape: [1, 224, 320, 3] }),
      'The input "frames" is 320 x 224 only, but model.json declares frames of any size.',
    ],
    [
      'one channel',
      output({ shape: ['batch', 'h', 'w', 1] }),
      'The output "stylized" is batch x h x w x 1, but model.json declares batch x height x width x 3.',
    ],
    [
      'a batch of four',
      input({ shape: [4, 'h', 'w', 3] }),
      'The input "frames" is 4 x h x w x 3, but model.json declares batch x height x width x 3.',
    ],
    [
      'other choices',
      { ...GRAPH, inputs: [FRAMES, { ...STYLE, shape: [1, 9] }] },
      'The input "style" is a row of 9 weights, but model.json declares a row of 2 weights.',
    ],
    [
      'an undeclared input',
      { ...GRAPH, inputs: [...GRAPH.inputs, { ...STYLE, name: 'noise' }] },
      'The graph has an input "noise" that model.json does not declare.',
    ],
  ] as const)('%s', ([, graph, message]) => {
    expect(() => checkGraph(MANIFEST, graph)).toThrow(new ModelMismatchError(message));
  });
});

test('the output of a run must have the size of the input times the scale, and three channels', () => {
  const frame = { count: 1, width: 32, height: 18 };
  expect(() => checkOutput(PICTURES, frame, [1, 36, 64, 3])).not.toThrow();
  for (const dims of [
    [1, 18, 32, 3],
    [1, 36, 64, 1],
    [2, 36, 64, 3],
    [36, 64, 3],
    [1, 3, 36, 64],
  ])
    expect(() => checkOutput(PICTURES, frame, dims)).toThrow(ModelMismatchError);
  const three = { ...frame, count: 3 };
  expect(() => checkOutput(PICTURES, three, [3, 36, 64, 3])).not.toThrow();
  expect(() => checkOutput(PICTURES, three, [1, 36, 64, 3])).toThrow(
    'For 3 32x18 frames, the output is 1x36x64x3',
  );
});

test.for([
  ['any number if the graph leaves the batch free', GRAPH, 'any', Infinity],
  ['what model.json allows', GRAPH, 4, 4],
  [
    'one if the graph fixes it',
    { ...GRAPH, inputs: [{ ...FRAMES, shape: [1, -1, -1, 3] }, STYLE] },
    'any',
    1,
  ],
  [
    'one if only the output fixes it',
    { ...GRAPH, outputs: [{ ...STYLIZED, shape: [1, -1, -1, 3] }] },
    'any',
    1,
  ],
  [
    'any number if the graph does not describe the output',
    { ...GRAPH, outputs: [{ ...STYLIZED, shape: [] }] },
    'any',
    Infinity,
  ],
  [
    'one if the graph does not describe the input',
    { ...GRAPH, inputs: [{ ...FRAMES, shape: [] }, STYLE] },
    'any',
    1,
  ],
] as const)('the frames that a model takes in one run: %s', ([, graph, batch, expected]) => {
  expect(framesPerRunOf({ ...MANIFEST, input: { ...MANIFEST.input, batch } }, graph).max).toBe(expected);
});

test.for([
  ['the CPU refuses it on a sound instance', { cpuRefusal: 'opset 99', isRuntimeSound: true }, true],
  ['the CPU loads it', { cpuRefusal: null, isRuntimeSound: true }, false],
  [
    'the instance does not load the reference model either',
    { cpuRefusal: 'opset 99', isRuntimeSound: false },
    false,
  ],
  ['memory is short', { cpuRefusal: 'Failed to allocate memory', isRuntimeSound: true }, false],
  ['memory is short, in C++', { cpuRefusal: 'std::bad_alloc', isRuntimeSound: true }, false],
] as const)('whether a model that did not load is at fault, if %s', ([, diagnosis, expected]) => {
  expect(isModelAtFault(diagnosis)).toBe(expected);
});

test.for([
  ['Failed to allocate memory for requested buffer of size 4503599627370496', true],
  ['CUDA failure 2: out of memory ; GPU=0', true],
  ['CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED', true],
  ['CUDA failure 700: an illegal memory access was encountered', false],
  ['indices element out of data bounds', false],
] as const)('whether a run was short of memory, from its message: %s', ([message, expected]) => {
  expect(isShortOfMemory(message)).toBe(expected);
});
