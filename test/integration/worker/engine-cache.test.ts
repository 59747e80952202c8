/** The folders of TensorRT's engines, with files in place of engines. */
import { readdir, rm, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { InferenceSession } from 'onnxruntime-node';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { openEngineFolder } from '../../../worker/engine/engine-cache.ts';
import { PROBE_MODEL } from '../../../worker/engine/probe-model.ts';
import { engineCacheEntries } from '../../../worker/engine/provider-option.ts';
import { testFolder } from '../../support/servers.ts';

const KEY = { modelSha256: 'a'.repeat(64), runtimeVersion: '1.30.0', device: 'Tesla T4' };

let folder = '';
beforeEach(async () => {
  folder = await testFolder();
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('each model, version and device has a folder of its own', async () => {
  const { path: own, engines } = await openEngineFolder(folder, KEY);
  expect(own).toBe(path.join(folder, 'tensorrt', `${KEY.modelSha256}_1.30.0_tesla-t4`));
  expect(engines).toBe(0);
  const others = await Promise.all([
    openEngineFolder(folder, { ...KEY, modelSha256: 'b'.repeat(64) }),
    openEngineFolder(folder, { ...KEY, runtimeVersion: '1.31.0' }),
    openEngineFolder(folder, { ...KEY, device: 'NVIDIA A10-24Q' }),
  ]);
  expect(new Set([own, ...others.map((other) => other.path)]).size).toBe(4);
});

test('a name of a device cannot lead out of the folder', async () => {
  const { path: own } = await openEngineFolder(folder, { ...KEY, device: '../../etc' });
  expect(path.dirname(own)).toBe(path.join(folder, 'tensorrt'));
});

test('the engines of a folder are found again, and counted', async () => {
  const { path: own } = await openEngineFolder(folder, KEY);
  await writeFile(path.join(own, 'one.engine'), 'an engine');
  await writeFile(path.join(own, 'one.profile'), 'its sizes');
  expect(await openEngineFolder(folder, KEY)).toEqual({ path: own, engines: 1 });
});

test('the folders that were not used for the longest time are removed, and never the one in use', async () => {
  const names = ['oldest', 'older', 'newer'];
  for (const [index, device] of names.entries()) {
    const { path: own } = await openEngineFolder(folder, { ...KEY, device });
    await writeFile(path.join(own, 'one.engine'), Buffer.alloc(100));
    await utimes(own, index + 1, index + 1);
  }
  await openEngineFolder(folder, { ...KEY, device: 'oldest' }, 150);
  const left = await readdir(path.join(folder, 'tensorrt'));
  expect(left.map((name) => name.split('_').at(-1))).toEqual(['oldest']);
});

test('the runtime takes the entries for a session that does not use TensorRT', async () => {
  const extra = { ...engineCacheEntries(folder, 0) };
  const session = await InferenceSession.create(PROBE_MODEL, { executionProviders: ['cpu'], extra });
  expect(session.inputNames).toEqual(['input']);
  await session.release();
});
