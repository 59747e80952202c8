/** Unusable models on a real worker with the real runtime: each batch is given up after one delivery, with the reason. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { publishModels } from '../../../shared/azure/publish-models.ts';
import { modelBlob } from '../../../shared/contract/blob-names.ts';
import { type ModelManifest, modelManifest } from '../../../shared/contract/model-manifest.ts';
import { BROKEN_MODELS, writeBrokenModels } from '../../support/broken-models.ts';
import { type RunningCommand, enqueue } from '../../support/commands.ts';
import { writeFrameModel } from '../../support/frame-model.ts';
import { H264, ffmpeg, picture } from '../../support/media-clips.ts';
import { WorkerFixture, countIn } from '../../support/worker-fixture.ts';

let fixture: WorkerFixture;
let worker: RunningCommand;
const at = (...names: readonly string[]): string => path.join(fixture.folder, ...names);

beforeAll(async () => {
  fixture = await WorkerFixture.open();
  await writeBrokenModels(at('broken'));
  await fixture.publish(at('broken'));
  worker = fixture.startWorker();
});
afterAll(() => fixture[Symbol.asyncDispose]());

describe('a batch with an unusable model fails in its first delivery with the reason', () => {
  test.for(Object.entries(BROKEN_MODELS))('%s', async ([name, { reason }]) => {
    const batch = await fixture.storeBatch(`job-${name}`, ['ordinary', 'ordinary', 'ordinary'], {
      model: name,
    });
    await fixture.send(batch);
    const result = await fixture.nextResult();
    expect(result).toMatchObject({
      jobId: `job-${name}`,
      scored: [],
      failed: [{ kind: 'model', frames: [[0, 3]] }],
    });
    expect(result.failed[0]?.message).toMatch(reason);
    await fixture.queueIsEmpty();
    expect(await fixture.takePoison()).toMatchObject([{ reason: 'model', dequeueCount: 1 }]);
  });
});

test('other batches of such a job are given up without loading the model again, and a good job completes', async () => {
  const deaths = countIn(worker.heard(), 'engine ended');
  const bad = await fixture.storeBatch('job-bad', ['ordinary', 'ordinary'], { model: 'future' });
  for (const batchIndex of [0, 1, 2]) await fixture.send({ ...bad, batchIndex });
  const good = await fixture.storeBatch('job-good', ['ordinary', 'ordinary'], { model: 'identity' });
  await fixture.send(good);
  const results = [];
  for (let count = 0; count < 4; count += 1) results.push(await fixture.nextResult());
  expect(results.filter(({ jobId }) => jobId === 'job-bad')).toHaveLength(3);
  expect(results.find(({ jobId }) => jobId === 'job-good')).toMatchObject({ scored: [[0, 2]], failed: [] });
  expect(countIn(worker.heard(), 'engine ended')).toBe(deaths);
});

test('a model that computes NaN is not detected, because it returns valid pixels', async () => {
  await fixture.send(await fixture.storeBatch('job-nan', ['ordinary'], { model: 'nan' }));
  expect(await fixture.nextResult()).toMatchObject({ scored: [[0, 1]], failed: [] });
});

describe('publishing refuses a folder of models with a mistake, and names the folder and the mistake', () => {
  const MODEL = BROKEN_MODELS['names']?.graph[0] ?? Buffer.alloc(0);
  const spoiled = async (
    name: string,
    spoil: (manifest: Record<string, unknown>) => unknown,
  ): Promise<string> => {
    const folder = at('spoiled', name);
    await rm(folder, { recursive: true, force: true });
    await writeFrameModel(folder, name, MODEL);
    const file = path.join(folder, name, 'model.json');
    const manifest = (await import(file, { with: { type: 'json' } })) as { default: Record<string, unknown> };
    const changed = spoil({ ...manifest.default });
    if (changed === undefined) await rm(file);
    else await writeFile(file, typeof changed === 'string' ? changed : JSON.stringify(changed));
    return folder;
  };

  test.for([
    ['nojson', () => undefined, 'it has no model.json'],
    ['notjson', () => '{"name":', 'its model.json is not valid JSON'],
    [
      'badjson',
      (m) => ({ ...m, input: { name: 'frames', type: 'float32', layout: 'NCHW' } }),
      /not valid: input\./,
    ],
    [
      'badhalf',
      (m) => ({ ...m, float16: { file: 'badhalf.onnx', sha256: '0'.repeat(64), difference: 0 } }),
      /the sha256 of badhalf\.onnx is [0-9a-f]{64}, but model\.json says 0{64}/,
    ],
    ['badsha', (m) => ({ ...m, sha256: '0'.repeat(64) }), /the sha256 of badsha\.onnx is [0-9a-f]{64}, but/],
    [
      'othername',
      (m) => ({ ...m, file: 'missing.onnx' }),
      'the file missing.onnx named in model.json is missing',
    ],
    ['identity', (m) => m, 'a different model is already published as identity/1'],
  ] as const satisfies readonly (readonly [
    string,
    (manifest: Record<string, unknown>) => unknown,
    string | RegExp,
  ])[])('%s', async ([name, spoil, says]) => {
    const folder = await spoiled(name, spoil);
    const publishing = publishModels(fixture.storage.blobs, folder);
    await expect(publishing).rejects.toMatchObject({ code: 'MODEL_INVALID' });
    await expect(publishing).rejects.toThrow(says);
    await expect(publishing).rejects.toThrow(path.join(folder, name));
    const blob = modelBlob({ name, version: '1' }, 'model.json');
    const published = await fixture.storage.blobs.stat('models', blob);
    expect(published !== undefined).toBe(name === 'identity');
  });

  test('a published version gets a file of float16 later, but no other one', async () => {
    const folder = at('later');
    const { blobs } = fixture.storage;
    const publish = async (half?: string): Promise<ModelManifest> => {
      await writeFrameModel(folder, 'later', MODEL, half === undefined ? {} : { half: Buffer.from(half) });
      await publishModels(blobs, folder);
      const json = await blobs.get('models', modelBlob({ name: 'later', version: '1' }, 'model.json'));
      return modelManifest.parse(JSON.parse(String(json)));
    };
    const before = await publish();
    expect(before.float16).toBeUndefined();
    const after = await publish('half');
    expect(after).toMatchObject({ ...before, float16: { file: 'later-float16.onnx' } });
    const stored = await blobs.get(
      'models',
      modelBlob({ name: 'later', version: '1' }, 'model-float16.onnx'),
    );
    expect(String(stored)).toBe('half');
    expect(await publish()).toEqual(after);
    await expect(publish('another')).rejects.toThrow('a different model is already published as later/1');
  });

  test('a folder that is not there', async () => {
    const publishing = publishModels(fixture.storage.blobs, at('nowhere'));
    await expect(publishing).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      hint: expect.stringContaining('FRAMEFLEET_LOCAL_MODELS'),
    });
  });

  test('the user sees a message and a hint, without a stack trace', async () => {
    await mkdir(at('mine', 'broken'), { recursive: true });
    await ffmpeg([...picture({ seconds: 0.2 }), ...H264, at('clip.mp4')]);
    const { status, stderr, stdout } = await enqueue([at('clip.mp4'), '--no-doctor'], {
      localFolder: at('fleet'),
      environment: { FRAMEFLEET_LOCAL_MODELS: at('mine') },
    }).end;
    expect(stderr).toContain(`Cannot publish the model in ${at('mine', 'broken')}: it has no model.json.`);
    expect(stderr).toContain('Correct or remove the folder.');
    expect(stderr).not.toMatch(/\n\s+at /);
    expect({ status, stdout }).toEqual({ status: 65, stdout: '' });
  });
});
