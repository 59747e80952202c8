import { expect, test } from 'vitest';

import {
  KnownMicroBatches,
  type MicroBatchFacts,
  MicroBatchSize,
  microBatchFrames,
  workloadOf,
} from '../../worker/engine/micro-batch-size.ts';
import { buildBatch } from '../support/build-batch.ts';

const GIB = 2 ** 30;
const HD = { width: 1280, height: 720 };
const facts: MicroBatchFacts = {
  setting: 'auto',
  executionProvider: 'cuda',
  deviceFreeBytes: 15 * GIB,
  framesPerRun: { max: Infinity, isFixed: false },
  knownMax: null,
  input: HD,
  output: HD,
};

test.for<readonly [string, Partial<MicroBatchFacts>, number]>([
  ['720p on a GPU with 15 GiB', {}, 4],
  ['360p on the same GPU', { input: { width: 640, height: 360 }, output: { width: 640, height: 360 } }, 16],
  ['a GPU that is nearly full', { deviceFreeBytes: GIB }, 1],
  ['a model that enlarges four times', { output: { width: 5120, height: 2880 } }, 1],
  ['a large GPU: more would not help', { deviceFreeBytes: 139 * GIB }, 16],
  ['a GPU of unknown memory', { deviceFreeBytes: null }, 1],
  ['the CPU', { executionProvider: 'cpu', deviceFreeBytes: null }, 1],
  ['TensorRT', { executionProvider: 'tensorrt' }, 1],
  ['a model that takes two', { framesPerRun: { max: 2, isFixed: false } }, 2],
  ['a model that takes four, no more and no fewer', { framesPerRun: { max: 4, isFixed: true } }, 4],
  ['a size that failed before', { knownMax: 2 }, 2],
  ['a number that is set', { setting: 6, executionProvider: 'cpu' }, 6],
  [
    'a number that is set, for a model that takes one',
    { setting: 6, framesPerRun: { max: 1, isFixed: false } },
    1,
  ],
  ['a number that is set, after a failure', { setting: 6, knownMax: 3 }, 3],
  ['pictures of which few fit into the buffers', { setting: 64, input: { width: 7680, height: 4320 } }, 1],
])('frames that run together: %s', ([, changes, expected]) => {
  expect(microBatchFrames({ ...facts, ...changes })).toBe(expected);
});

test('the buffers of the largest micro-batch stay within half a GiB', () => {
  for (const width of [64, 640, 1920, 3840, 7680])
    for (const scale of [1, 2, 4]) {
      const input = { width, height: width };
      const output = { width: width * scale, height: width * scale };
      const frames = microBatchFrames({ ...facts, setting: 64, input, output });
      const bytes = 3 * frames * 3 * (input.width * input.height + output.width * output.height);
      expect(frames === 1 || bytes <= GIB / 2).toBe(true);
    }
});

test('the size in use only falls, and each fall is reported once', () => {
  const reported: [number, string][] = [];
  const size = new MicroBatchSize(8, (frames, reason) => reported.push([frames, reason]));
  size.reduceTo(4, 'first');
  size.reduceTo(4, 'the run that was waiting');
  size.reduceTo(6, 'a shorter run');
  expect(size.frames).toBe(4);
  expect(reported).toEqual([[4, 'first']]);
});

test('what a worker knows is kept by model and picture size, for the last hundred of them', () => {
  const batch = buildBatch({});
  const { pieceFormat, model } = batch;
  const workloads = [
    workloadOf(batch),
    workloadOf({ model, pieceFormat: { ...pieceFormat, width: pieceFormat.width + 2 } }),
    workloadOf({ model: { ...model, sha256: 'cd'.repeat(32) }, pieceFormat }),
  ];
  expect(new Set(workloads).size).toBe(3);
  const known = new KnownMicroBatches();
  expect(known.maxFor('0')).toBeNull();
  for (let number = 0; number <= 100; number += 1) known.reduce(String(number), 2);
  expect([known.maxFor('0'), known.maxFor('1'), known.maxFor('100')]).toEqual([null, 2, 2]);
});
