/**
 * Models of one's own, from the file through `npm run model` and a worker to the segment: sizes that are fixed, larger or multiples of a
 * number, a fixed batch, another input, weights in a second file, and files that cannot be used.
 */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { modelBlob, segmentBlob } from '../../../shared/contract/blob-names.ts';
import { modelManifest } from '../../../shared/contract/model-manifest.ts';
import { firstSplit } from '../../support/build-job.ts';
import { model } from '../../support/commands.ts';
import { meanColour } from '../../support/media-clips.ts';
import {
  type OnnxPart,
  onnxConstant,
  onnxExternal,
  onnxInput,
  onnxIntegers,
  onnxModel,
  onnxNode,
  onnxOutput,
} from '../../support/onnx-writer.ts';
import { WorkerFixture } from '../../support/worker-fixture.ts';

const FRAMES = 6;
/** Of the fixture's frames. */
const ORDINARY = [64, 128, 192];
const FLOAT = 'float32';
const IDENTITY = [onnxNode('Identity', ['x'], ['y'])];

let fixture: WorkerFixture;

beforeAll(async () => {
  fixture = await WorkerFixture.open();
  fixture.startWorker();
});
afterAll(() => fixture[Symbol.asyncDispose]());

function pictures(dims: readonly (number | string)[], outDims = dims): OnnxPart[] {
  return [onnxInput({ name: 'x', type: FLOAT, dims }), onnxOutput({ name: 'y', type: FLOAT, dims: outDims })];
}

async function add(name: string, graph: readonly OnnxPart[] | Buffer, ...flags: string[]) {
  const file = path.join(fixture.folder, `${name}.onnx`);
  await writeFile(file, Buffer.isBuffer(graph) ? graph : onnxModel({ opset: 13, graph }));
  const { media, system } = fixture.storage.connection;
  return model(['add', file, '--name', name, '--out', fixture.folder, '--json', ...flags], {
    localFolder: fixture.folder,
    environment: { FRAMEFLEET_MEDIA_STORAGE: media, FRAMEFLEET_SYSTEM_STORAGE: system },
  }).end;
}

/** Doubles both sides. */
const TWICE = [
  onnxConstant('sizes', [4], Float32Array.of(1, 1, 2, 2)),
  onnxNode('Resize', ['x', '', 'sizes'], ['y']),
];
/** Sides come back as multiples of four. */
const FOURS = [
  onnxNode(
    'MaxPool',
    ['x'],
    ['half'],
    [
      { name: 'kernel_shape', ints: [4, 4] },
      { name: 'strides', ints: [4, 4] },
      { name: 'ceil_mode', int: 1 },
    ],
  ),
  onnxConstant('sizes', [4], Float32Array.of(1, 1, 4, 4)),
  onnxNode('Resize', ['half', '', 'sizes'], ['y']),
];
const FREE = ['n', 3, 'h', 'w'];
/** Fails unless both sides are multiples of four, as a network does that adds what it had before it made the picture smaller. */
const SKIPPING = [
  onnxNode(
    'MaxPool',
    ['x'],
    ['small'],
    [
      { name: 'kernel_shape', ints: [4, 4] },
      { name: 'strides', ints: [4, 4] },
    ],
  ),
  onnxConstant('sizes', [4], Float32Array.of(1, 1, 4, 4)),
  onnxNode('Resize', ['small', '', 'sizes'], ['large']),
  onnxNode('Add', ['large', 'x'], ['sum']),
  onnxConstant('half', [1], Float32Array.of(0.5)),
  onnxNode('Mul', ['sum', 'half'], ['y']),
];
/** Half of the frame and half of the picture before, which is its state, too. */
const FADING = [
  ...pictures(FREE),
  onnxInput({ name: 'before', type: FLOAT, dims: FREE }),
  onnxNode('Add', ['x', 'before'], ['sum']),
  onnxConstant('half', [1], Float32Array.of(0.5)),
  onnxNode('Mul', ['sum', 'half'], ['y']),
];
/** A quarter of the frame the first time, two quarters the second time. */
const COUNTING = [
  ...pictures(FREE),
  onnxInput({ name: 'seen', type: FLOAT, dims: [1] }),
  onnxOutput({ name: 'seen_next', type: FLOAT, dims: [1] }),
  onnxConstant('quarter', [1], Float32Array.of(0.25)),
  onnxNode('Add', ['seen', 'quarter'], ['seen_next']),
  onnxNode('Mul', ['x', 'seen_next'], ['y']),
];
const LABELLED = [
  onnxInput({ name: 'x', type: FLOAT, dims: FREE }),
  onnxOutput({ name: 'means', type: FLOAT, dims: ['n', 3] }),
  onnxNode(
    'ReduceMean',
    ['x'],
    ['means'],
    [
      { name: 'axes', ints: [2, 3] },
      { name: 'keepdims', int: 0 },
    ],
  ),
];

test.each([
  { name: 'twice', graph: [...pictures(FREE), ...TWICE], size: 31, result: [62, 62] },
  { name: 'fours', graph: [...pictures(FREE), ...FOURS], size: 31, result: [32, 32] },
  { name: 'skipping', graph: [...pictures(FREE), ...SKIPPING], size: 31, result: [32, 32] },
  { name: 'fixed', graph: [...pictures([1, 3, 48, 80]), ...IDENTITY], size: 32, result: [32, 32] },
  {
    name: 'letterbox',
    graph: [...pictures([1, 3, 48, 80]), ...IDENTITY],
    flags: ['--fit', 'letterbox'],
    size: 32,
    result: [32, 32],
  },
  {
    name: 'calm',
    graph: [...pictures(FREE), ...IDENTITY],
    flags: ['--steady'],
    size: 32,
    result: [32, 32],
  },
  // A fixed size, of which a larger frame takes several.
  {
    name: 'tiled',
    graph: [...pictures([1, 3, 32, 32]), ...IDENTITY],
    flags: ['--tile', '32x32', '--tile-overlap', '4'],
    size: 80,
    result: [80, 80],
  },
  {
    name: 'tiled-twice',
    graph: [...pictures(FREE), ...TWICE],
    flags: ['--tile', '32x24', '--tile-overlap', '4'],
    size: 80,
    result: [160, 160],
  },
  // Smaller for the model, and back.
  {
    name: 'limited',
    graph: [...pictures(FREE), ...IDENTITY],
    flags: ['--max-megapixels', '0.01'],
    size: 200,
    result: [200, 200],
  },
  { name: 'four', graph: [...pictures([4, 3, 32, 32]), ...IDENTITY], size: 32, result: [32, 32] },
  {
    name: 'strength',
    graph: [
      ...pictures(FREE),
      onnxInput({ name: 'strength', type: FLOAT, dims: [1] }),
      onnxNode('Mul', ['x', 'strength'], ['y']),
    ],
    flags: ['--set', 'strength=0.5'],
    size: 32,
    result: [32, 32],
    factor: 0.5,
  },
  {
    name: 'fading',
    graph: FADING,
    flags: ['--state', 'before=y', '--context-frames', '2'],
    size: 32,
    result: [32, 32],
    // The mean of 1/2, 3/4, 7/8 and 15/16.
    factor: 49 / 64,
  },
  {
    name: 'counting',
    graph: COUNTING,
    flags: ['--state', 'seen=seen_next'],
    size: 32,
    result: [32, 32],
    // The mean of 1/4, 2/4, 3/4 and 4/4.
    factor: 5 / 8,
  },
])(
  'a worker runs the imported model $name',
  async ({ name, graph, flags = [], size, result, factor = 1 }) => {
    const added = await add(name, graph, '--range', '0..1', ...flags);
    expect(added).toMatchObject({ status: 0 });
    const stored = await fixture.storage.blobs.get('models', modelBlob({ name, version: '1' }, 'model.json'));
    const manifest = modelManifest.parse(JSON.parse(String(stored)));
    fixture.useModel(manifest);

    const jobId = `job-${name}`;
    const frames = Array.from({ length: FRAMES }, () => 'ordinary' as const);
    const batch = await fixture.storeBatch(jobId, frames, { model: name, size });
    await fixture.send(batch);
    const results = await fixture.resultsOf(batch);
    expect(results.flatMap(({ failed }) => failed)).toEqual([]);
    const segment = path.join(fixture.folder, `${name}.mp4`);
    await fixture.storage.blobs.getFile('scored', segmentBlob(firstSplit(jobId), [0, 4]), segment);
    const [colour, dimensions] = [await meanColour(segment), await sizeOf(segment)];
    expect(dimensions).toEqual(result);
    for (const [channel, value] of colour.entries())
      expect(Math.abs(value - (ORDINARY[channel] ?? 0) * factor)).toBeLessThanOrEqual(3);
  },
);

test('weights in a second file become part of the published model', async () => {
  const graph = [
    ...pictures(FREE),
    onnxExternal('weights', [1], 'weights.bin'),
    onnxNode('Mul', ['x', 'weights'], ['y']),
  ];
  const missing = await add('external', graph, '--range', '0..1');
  expect(missing).toMatchObject({ status: 65 });
  expect(missing.stdout).toContain('weights.bin, which is missing');
  await writeFile(path.join(fixture.folder, 'weights.bin'), Buffer.from(Float32Array.of(0.5).buffer));
  expect(await add('external', graph, '--range', '0..1')).toMatchObject({ status: 0 });
});

test.each([
  ['a text', Buffer.from('not a model'), [], /is not a complete ONNX model/],
  [
    'a truncated file',
    onnxModel({ opset: 13, graph: [...pictures(FREE), ...IDENTITY] }).subarray(0, 60),
    [],
    /is not a complete ONNX model/,
  ],
  [
    'a tile of another size than the model takes',
    [...pictures([1, 3, 32, 32]), ...IDENTITY],
    ['--range', '0..1', '--tile', '64x64', '--tile-overlap', '8'],
    /does not take tiles of 64 x 64/,
  ],
  [
    'a tile that its overlap uses up',
    [...pictures(FREE), ...IDENTITY],
    ['--range', '0..1', '--tile', '64x64', '--tile-overlap', '32'],
    /nothing is left with an overlap of 32/,
  ],
  [
    'tiles of a model that keeps still parts still',
    [...pictures(FREE), ...IDENTITY],
    ['--range', '0..1', '--tile', '64x64', '--steady'],
    /cannot run in tiles/,
  ],
  ['a graph without pictures', [...numbers(), ...IDENTITY], [], /No input of the model is a picture/],
  ['a model whose range is not known', [...pictures(FREE), ...IDENTITY], [], /does not say which values/],
  [
    'boxes that have no four numbers',
    LABELLED,
    ['--range', '0..1', '--boxes', 'means', '--box-scores', 'means'],
    /"means" is 3 for a frame, not four numbers for each box/,
  ],
  [
    'the value of an input that does not exist',
    [...pictures(FREE), ...IDENTITY],
    ['--range', '0..1', '--set', 'nothing=1'],
    /has no input "nothing"/,
  ],
  [
    'the value of the input that takes the picture',
    [...pictures(FREE), ...IDENTITY],
    ['--range', '0..1', '--set', 'x=1', '--input', 'x'],
    /"x" takes the picture/,
  ],
  ['an input that is left open', FADING, ['--range', '0..1'], /may be the picture: "x".*"before"/],
  [
    'a state that the model does not return',
    COUNTING,
    ['--range', '0..1', '--state', 'seen=nothing'],
    /has no output "nothing"/,
  ],
  [
    'a state whose size is not known',
    [
      ...pictures(FREE),
      onnxInput({ name: 'hidden', type: FLOAT, dims: ['n', 8, 'rows', 'columns'] }),
      onnxOutput({ name: 'hidden_next', type: FLOAT, dims: ['n', 8, 'rows', 'columns'] }),
      onnxNode('Identity', ['hidden'], ['hidden_next']),
      ...IDENTITY,
    ],
    ['--range', '0..1', '--state', 'hidden=hidden_next'],
    /"hidden" is n x 8 x rows x columns; its side 2 is neither fixed nor that of the frame/,
  ],
  [
    'a state beside --steady',
    COUNTING,
    ['--range', '0..1', '--state', 'seen=seen_next', '--steady'],
    /with a state of its own cannot be kept steady/,
  ],
  [
    'a range of numbers',
    LABELLED,
    ['--range', '0..1', '--output-range', '0..1'],
    /returns numbers, which have no range/,
  ],
  [
    'an unknown operator',
    [...pictures(FREE), onnxNode('NoSuchOperator', ['x'], ['y'])],
    ['--range', '0..1'],
    /cannot be loaded by ONNX Runtime/,
  ],
  [
    'an opset that is too new',
    onnxModel({ opset: 99, graph: [...pictures(FREE), ...IDENTITY] }),
    ['--range', '0..1'],
    /cannot be loaded by ONNX Runtime.*opset/s,
  ],
  [
    'a graph that needs 40 GB',
    [
      ...pictures(FREE),
      onnxIntegers('huge', [100_000, 100_000]),
      onnxNode('ConstantOfShape', ['huge'], ['memory']),
      onnxNode('ReduceSum', ['memory'], ['sum'], [{ name: 'keepdims', int: 0 }]),
      onnxNode('Add', ['x', 'sum'], ['y']),
    ],
    ['--range', '0..1'],
    /memory/,
  ],
] as const)('%s is refused with a hint', async (_what, graph, flags, message) => {
  const name = 'refused';
  const { status, stdout } = await add(name, graph, ...flags);
  expect(status).toBe(65);
  const { error } = JSON.parse(stdout) as { error: { code: string; message: string; hint: string | null } };
  expect(error.code).toBe('MODEL_INVALID');
  expect(error.message).toMatch(message);
  expect(error.hint).not.toBe('');
  expect(
    await fixture.storage.blobs.get('models', modelBlob({ name, version: '1' }, 'model.json')),
  ).toBeUndefined();
});

function numbers(): OnnxPart[] {
  return [
    onnxInput({ name: 'x', type: FLOAT, dims: [1, 10] }),
    onnxOutput({ name: 'y', type: FLOAT, dims: [1, 10] }),
  ];
}

async function sizeOf(video: string): Promise<number[]> {
  // avcC is not read: the sizes stand in the header of the track, as 16.16 numbers, at its end.
  const bytes = await readFile(video);
  const at = bytes.indexOf('tkhd') - 4;
  const end = at + bytes.readUInt32BE(at);
  return [bytes.readUInt32BE(end - 8) >> 16, bytes.readUInt32BE(end - 4) >> 16];
}
