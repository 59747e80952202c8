/** `npm run model`: list, show, test and remove, against published models. */
import { stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { modelBlob } from '../../../shared/contract/blob-names.ts';
import { model } from '../../support/commands.ts';
import { onnxInput, onnxModel, onnxNode, onnxOutput } from '../../support/onnx-writer.ts';
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
    expect.stringMatching(/^name +version +frames +output +parameters$/),
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
