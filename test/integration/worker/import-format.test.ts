/**
 * Wrapped graphs in ONNX Runtime, for every way in which a graph may take and return pictures. The model halves each channel and adds a
 * number of its own to it, in its own units, so a wrong range, order or layout gives another picture.
 */
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { Inference } from '../../../worker/engine/inference-client.ts';
import type { Channels, ValueRange } from '../../../worker/import/format.ts';
import { type FormatAnswers, formatOf } from '../../../worker/import/format.ts';
import { readGraph } from '../../../worker/import/graph.ts';
import { FRAMES, SCORED, wrapGraph } from '../../../worker/import/wrap.ts';
import {
  onnxConstant,
  onnxInput,
  onnxModel,
  onnxNode,
  onnxOutput,
  toType,
} from '../../support/onnx-writer.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { testFolder } from '../../support/servers.ts';

const SIZE = { width: 7, height: 5 };
const HALF = 0.5;
/** Of the first, second and third channel, as shares of the range. */
const ADDED = [0.05, 0.1, 0.2];
const GREY = [0.299, 0.587, 0.114];

let folder: string;
let inference: Inference;
let models = 0;

beforeAll(async () => {
  folder = await testFolder();
  inference = new Inference({ onDeath: () => undefined });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Case {
  readonly opset?: number;
  readonly type?: 'float32' | 'float16' | 'uint8';
  readonly layout?: 'NCHW' | 'NHWC';
  readonly channels?: Channels;
  readonly range?: ValueRange;
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  readonly outputRange?: ValueRange;
  readonly hasBatch?: boolean;
  readonly isFixed?: boolean;
  /** Frames in one run. */
  readonly count?: number;
}

const CASES: readonly Case[] = [
  { layout: 'NCHW', range: '0..255' },
  { layout: 'NCHW', range: '0..1' },
  { layout: 'NCHW', range: '-1..1' },
  { layout: 'NHWC', range: '0..1' },
  { layout: 'NHWC', range: '0..255', channels: 'bgr' },
  { layout: 'NCHW', range: '0..255', channels: 'bgr' },
  { layout: 'NCHW', range: '0..1', mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  { layout: 'NHWC', range: '0..1', mean: [0.5], std: [0.5], outputRange: '-1..1' },
  { layout: 'NCHW', range: '0..1', outputRange: '0..255' },
  { layout: 'NCHW', range: '0..1', type: 'float16' },
  { layout: 'NCHW', range: '-1..1', type: 'float16', channels: 'bgr' },
  { layout: 'NCHW', type: 'uint8' },
  { layout: 'NHWC', type: 'uint8', channels: 'bgr' },
  { layout: 'NHWC', type: 'uint8' },
  { layout: 'NCHW', range: '0..1', channels: 'grey' },
  { layout: 'NHWC', range: '0..255', channels: 'grey' },
  { layout: 'NCHW', range: '0..1', hasBatch: false },
  { layout: 'NHWC', range: '0..1', hasBatch: false },
  { layout: 'NCHW', range: '0..1', isFixed: true },
  { layout: 'NCHW', range: '0..1', count: 3 },
  { layout: 'NCHW', range: '0..1', count: 4, isFixed: true },
];

test.each([7, 10, 11, 13, 18, 20].flatMap((opset) => CASES.map((one) => ({ opset, ...one }))))(
  'a model of %j sees what it expects, and its answer is read as it means it',
  async (one) => {
    const { count = 1 } = one;
    const wrapped = await wrap(one);
    const frames = randomFrames(count);
    const dims = [count, SIZE.height, SIZE.width, 3];
    await inference.load({ modelPath: wrapped, executionProviders: ['cpu'], threads: 1, deviceId: 0 });
    const answer = await inference.infer({
      input: { name: FRAMES, pixels: Uint8Array.from(frames), dims },
      weights: new Map(),
      outputs: [{ name: SCORED }],
    });
    const [scored] = answer.outputs;
    expect(scored?.dims).toEqual(dims);
    const wanted = frames.map((_, index) => expectedAt(frames, index, one));
    const differences = wanted.map((value, index) => Math.abs(value - (scored?.data?.[index] ?? 0)));
    expect(Math.max(...differences)).toBeLessThanOrEqual(1);
    // Not all alike: the test could not fail.
    expect(new Set(wanted).size).toBeGreaterThan(10);
  },
);

/** Writes the model of a case, wraps it and returns the path. */
async function wrap(one: Case & { readonly opset: number }): Promise<string> {
  models += 1;
  const file = path.join(folder, `${models}.onnx`);
  await writeFile(file, halvingModel(one));
  const { channels, range, mean, std, outputRange } = one;
  const answers: FormatAnswers = {
    ...(channels === undefined || channels === 'grey' ? {} : { channels }),
    ...(range === undefined ? {} : { range }),
    ...(mean === undefined ? {} : { mean }),
    ...(std === undefined ? {} : { std }),
    ...(outputRange === undefined ? {} : { outputRange }),
    values: new Map(),
  };
  const imported = await readGraph(file);
  const wrapped = path.join(folder, `${models}-wrapped.onnx`);
  await writeFile(wrapped, wrapGraph(imported, formatOf(imported, answers)));
  return wrapped;
}

function halvingModel(one: Case & { readonly opset: number }): Buffer {
  const { type = 'float32', hasBatch = true, isFixed = false, count = 1, opset } = one;
  const [low, high] = boundsOf(one.outputRange ?? one.range);
  const channelCount = one.channels === 'grey' ? 1 : 3;
  const sides = isFixed ? [SIZE.height, SIZE.width] : ['h', 'w'];
  const batch = hasBatch ? [isFixed ? count : 'n'] : [];
  const dims =
    one.layout === 'NHWC' ? [...batch, ...sides, channelCount] : [...batch, channelCount, ...sides];
  const added = Float32Array.from(ADDED.slice(0, channelCount), (share) => share * (high - low));
  const addedDims = one.layout === 'NHWC' ? [channelCount] : [channelCount, 1, 1];
  const graph = [
    onnxInput({ name: 'x', type, dims }),
    onnxOutput({ name: 'y', type, dims }),
    onnxConstant('half', [], Float32Array.of(HALF * gainOf(one))),
    onnxConstant('added', addedDims, added),
    onnxNode('Cast', ['x'], ['float'], [toType('float32')]),
    onnxNode('Mul', ['float', 'half'], ['halved']),
    onnxNode('Add', ['halved', 'added'], ['sum']),
    onnxNode('Cast', ['sum'], ['y'], [toType(type)]),
  ];
  return onnxModel({ opset, graph });
}

function randomFrames(count: number): number[] {
  const random = seededRandom(1);
  return Array.from({ length: count * SIZE.width * SIZE.height * 3 }, () => Math.floor(random() * 256));
}

/** The byte that the model returns for the byte with this index, calculated by hand. */
function expectedAt(frames: readonly number[], index: number, one: Case): number {
  const { channels = 'rgb', range, type = 'float32' } = one;
  const colour = index % 3;
  const pixel = index - colour;
  const channel = channels === 'grey' ? 0 : channels === 'bgr' ? 2 - colour : colour;
  const byte =
    channels === 'grey'
      ? GREY.reduce((sum, weight, part) => sum + weight * (frames[pixel + part] ?? 0), 0)
      : (frames[index] ?? 0);
  const [low, high] = boundsOf(range);
  const valueOf = (values: readonly number[] | undefined, usual: number) =>
    values?.[values.length === 1 ? 0 : channel] ?? usual;
  const input = ((byte / 255) * (high - low) + low - valueOf(one.mean, 0)) / valueOf(one.std, 1);
  const [outputLow, outputHigh] = boundsOf(one.outputRange ?? range);
  const output = input * HALF * gainOf(one) + (ADDED[channel] ?? 0) * (outputHigh - outputLow);
  const scored = ((output - outputLow) / (outputHigh - outputLow)) * 255;
  const clipped = Math.min(255, Math.max(0, scored));
  return type === 'uint8' ? Math.floor(clipped) : Math.round(clipped);
}

/** Of the output's units to those of the input. */
function gainOf({ range, outputRange }: Case): number {
  const span = ([low, high]: readonly [number, number]): number => high - low;
  return span(boundsOf(outputRange ?? range)) / span(boundsOf(range));
}

function boundsOf(range: ValueRange = '0..255'): readonly [number, number] {
  const [low = '', high = ''] = range.split('..');
  return [Number(low), Number(high)];
}
