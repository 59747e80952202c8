/** `npm run model`: list, show, test and remove, against published models. */
import { stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { modelBlob } from '../../../shared/contract/blob-names.ts';
import type { ModelManifest } from '../../../shared/contract/model-manifest.ts';
import { model } from '../../support/commands.ts';
import {
  type OnnxPart,
  onnxConstant,
  onnxInput,
  onnxModel,
  onnxNode,
  onnxOutput,
} from '../../support/onnx-writer.ts';
import { type TestStorage, startTestStorage, testFolder } from '../../support/servers.ts';

let storage: TestStorage;
let folder: string;

beforeAll(async () => {
  storage = await startTestStorage();
  folder = await testFolder();
  const dims = ['n', 3, 'h', 'w'];
  const graph = [
    onnxInput({ name: 'x', type: 'float32', dims }),
    onnxOutput({ name: 'y', type: 'float32', dims }),
    onnxNode('Identity', ['x'], ['y']),
  ];
  await writeFile(path.join(folder, 'plain.onnx'), onnxModel({ opset: 13, graph }));
  const convolution = (weight: number, ...more: readonly OnnxPart[]) => [
    ...graph.slice(0, 2),
    onnxConstant('w', [3, 3, 1, 1], Float32Array.of(weight, 0, 0, 0, weight, 0, 0, 0, weight)),
    onnxConstant('v', [3, 3, 1, 1], Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1)),
    onnxNode('Conv', ['x', 'w'], ['first']),
    ...more,
  ];
  const close = convolution(0.9, onnxNode('Conv', ['first', 'v'], ['y']));
  await writeFile(path.join(folder, 'close.onnx'), onnxModel({ opset: 13, graph: close }));
  // Of values near 60,000, float16 holds every 32nd.
  const far = convolution(
    1,
    onnxConstant('offset', [], Float32Array.of(60_000)),
    onnxNode('Add', ['first', 'offset'], ['high']),
    onnxNode('Relu', ['high'], ['still high']),
    onnxNode('Sub', ['still high', 'offset'], ['low']),
    onnxNode('Conv', ['low', 'v'], ['y']),
  );
  await writeFile(path.join(folder, 'far.onnx'), onnxModel({ opset: 13, graph: far }));
});
afterAll(() => storage[Symbol.asyncDispose]());

function run(...args: string[]) {
  const { media, system } = storage.connection;
  return model(args, {
    localFolder: folder,
    currentFolder: folder,
    environment: { FRAMEFLEET_MEDIA_STORAGE: media, FRAMEFLEET_SYSTEM_STORAGE: system },
  }).end;
}

test('models are added, listed, shown, tested and removed', async () => {
  expect(await run('list')).toMatchObject({ status: 0, stdout: '', stderr: 'No models.\n' });
  const file = path.join(folder, 'plain.onnx');
  const first = await run('add', file, '--name', 'plain', '--range', '0..1', '--out', folder);
  expect(first).toMatchObject({ status: 0, stdout: 'plain 1\n' });
  expect(first.stderr).toContain('npm run enqueue -- video.mp4 --model plain');
  const second = await run('add', file, '--name', 'plain', '--range', '0..255', '--steady', '--out', folder);
  expect(second).toMatchObject({ status: 0, stdout: 'plain 2\n' });

  const listed = await run('list');
  expect(listed.stdout.split('\n')).toEqual([
    expect.stringMatching(/^NAME +VERSION +FRAMES +OUTPUT +FLOAT16 +PARAMETERS$/),
    expect.stringMatching(/^plain +1 +any size$/),
    expect.stringMatching(/^plain +2 +any size +steady: on, off$/),
    '',
  ]);

  const shown = JSON.parse((await run('show', 'plain')).stdout) as { version: string };
  expect(shown.version).toBe('2');
  const picture = path.join(folder, 'plain-1.jpg');
  await writeFile(picture, '');
  const tested = await run('test', 'plain', '1', '--out', folder);
  expect(tested).toMatchObject({ status: 0, stdout: expect.stringContaining(picture) });
  expect((await stat(picture)).size).toBeGreaterThan(10_000);

  expect(await run('remove', 'plain', '2')).toMatchObject({ status: 0 });
  expect(await storage.blobs.stat('models', modelBlob({ name: 'plain', version: '2' }, 'model.onnx'))).toBe(
    undefined,
  );
  expect(JSON.parse((await run('list', '--json')).stdout)).toMatchObject({
    count: 1,
    models: [{ name: 'plain', version: '1' }],
  });
});

const HALF = 'model-float16.onnx';

test('a model close to float32 gets a file of float16, which is listed, fetched, checked and removed with it', async () => {
  const file = path.join(folder, 'close.onnx');
  const close = { name: 'close', version: '1' };
  const added = await run('add', file, '--name', 'close', '--range', '0..255', '--out', folder);
  expect(added).toMatchObject({ status: 0, stdout: 'close 1\n' });
  expect(added.stderr).toMatch(/^float16: up to [01] grey levels? from float32\.$/m);
  expect((await run('list')).stdout).toMatch(/^close +1 +any size +yes$/m);
  const shown = JSON.parse((await run('show', 'close')).stdout) as ModelManifest;
  expect(shown.float16).toMatchObject({ file: 'close-float16.onnx', shareOverOne: 0 });
  expect(await run('test', 'close', '--out', folder)).toMatchObject({ status: 0 });

  const stored = (await storage.blobs.get('models', modelBlob(close, HALF))) ?? '';
  await storage.blobs.put('models', modelBlob(close, HALF), 'another file');
  const tested = await run('test', 'close', '--out', folder);
  expect(tested.status).toBe(65);
  expect(tested.stderr).toContain('The model-float16.onnx of the model close 1 is not the file');
  await storage.blobs.put('models', modelBlob(close, HALF), stored);

  expect(await run('remove', 'close')).toMatchObject({ status: 0 });
  expect(await storage.blobs.stat('models', modelBlob(close, HALF))).toBeUndefined();
});

test('no file of float16 is made if it is not wanted', async () => {
  const file = path.join(folder, 'close.onnx');
  await run('add', file, '--name', 'single', '--range', '0..255', '--no-float16', '--out', folder);
  const single = { name: 'single', version: '1' };
  expect(await storage.blobs.stat('models', modelBlob(single, 'model.onnx'))).toBeDefined();
  expect(await storage.blobs.stat('models', modelBlob(single, HALF))).toBeUndefined();
});

test('a model far from float32 gets no file of float16 unless it is asked for, and the difference is said', async () => {
  const add = ['add', path.join(folder, 'far.onnx'), '--name', 'far', '--range', '0..255', '--out', folder];
  const without = await run(...add);
  expect(without).toMatchObject({ status: 0 });
  expect(without.stderr).toMatch(
    /float16: up to \d+ grey levels.* % of the values differ by more than one\./,
  );
  expect(without.stderr).toContain('Add `--float16`');
  expect(await storage.blobs.stat('models', modelBlob({ name: 'far', version: '1' }, HALF))).toBeUndefined();

  const forced = await run(...add, '--float16', '--json');
  const { manifest, float16 } = JSON.parse(forced.stdout) as { manifest: ModelManifest; float16: string };
  expect(float16).toMatch(/^float16: up to \d+ grey levels/);
  expect(manifest.float16?.difference).toBeGreaterThan(4);
  expect(manifest.float16?.shareOverOne).toBeGreaterThan(0.5);
  expect(await storage.blobs.stat('models', modelBlob({ name: 'far', version: '2' }, HALF))).toBeDefined();
});

test('a classifier gets a file of float16, with its difference as a share', async () => {
  const graph = [
    onnxInput({ name: 'x', type: 'float32', dims: ['n', 3, 'h', 'w'] }),
    onnxOutput({ name: 'scores', type: 'float32', dims: ['n', 3] }),
    onnxConstant('w', [3, 3, 1, 1], Float32Array.of(0.9, 0.1, 0, 0.2, 0.7, 0.1, 0.1, 0.3, 0.6)),
    onnxNode('Conv', ['x', 'w'], ['mixed']),
    onnxNode('GlobalAveragePool', ['mixed'], ['means']),
    onnxNode('Flatten', ['means'], ['scores'], [{ name: 'axis', int: 1 }]),
  ];
  await writeFile(path.join(folder, 'scores.onnx'), onnxModel({ opset: 13, graph }));
  await writeFile(path.join(folder, 'labels.txt'), 'red\ngreen\nblue\n');
  const flags = ['--range', '0..1', '--labels', path.join(folder, 'labels.txt'), '--out', folder, '--json'];
  const added = await run('add', path.join(folder, 'scores.onnx'), '--name', 'scores', ...flags);
  expect(added).toMatchObject({ status: 0 });
  const { manifest, float16 } = JSON.parse(added.stdout) as { manifest: ModelManifest; float16: string };
  expect(float16).toMatch(/^float16: up to [\d.]+ % from float32\.$/);
  expect(manifest.float16?.difference).toBeLessThan(0.01);
  expect(manifest.float16).not.toHaveProperty('shareOverOne');
});

test.each([
  ['show', 'nobody'],
  ['test', 'nobody', '3'],
  ['remove', 'nobody'],
])('%s of a model that does not exist says which ones do', async (...args) => {
  const { status, stderr } = await run(...args);
  expect(status).toBe(65);
  expect(stderr).toMatch(/Model nobody (does not exist|has no version 3)\./);
});

test('a published model that does not load any more fails its test', async () => {
  const file = path.join(folder, 'plain.onnx');
  await run('add', file, '--name', 'broken', '--range', '0..1', '--out', folder);
  await storage.blobs.put('models', modelBlob({ name: 'broken', version: '1' }, 'model.onnx'), 'not a graph');
  const { status, stderr } = await run('test', 'broken', '--out', folder);
  expect(status).toBe(65);
  expect(stderr).toContain('The model broken 1 cannot be used:');
});
