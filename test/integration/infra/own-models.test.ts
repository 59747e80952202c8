/** A model that is added while no fleet runs: it is kept on this machine, and the fleet that `enqueue` starts for itself has it. */
import { readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { enqueue, model } from '../../support/commands.ts';
import { H264, ffmpeg, meanColour, picture } from '../../support/media-clips.ts';
import { onnxInput, onnxModel, onnxNode, onnxOutput } from '../../support/onnx-writer.ts';
import { testFolder } from '../../support/servers.ts';

let folder: string;
const at = (name: string) => path.join(folder, name);
const options = () => ({ localFolder: at('local'), currentFolder: folder });
const run = (...args: string[]) => model(args, options()).end;

beforeAll(async () => {
  folder = await testFolder();
  // A grey negative.
  const dims = ['n', 3, 'h', 'w'];
  const graph = [
    onnxInput({ name: 'x', type: 'float32', dims }),
    onnxOutput({ name: 'y', type: 'float32', dims }),
    onnxNode('Neg', ['x'], ['minus']),
    onnxNode('Sigmoid', ['minus'], ['y']),
  ];
  await writeFile(at('grey.onnx'), onnxModel({ opset: 13, graph }));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('it is listed beside the painter, runs in a job of its own fleet, and is removed', async () => {
  const added = await run('add', 'grey.onnx', '--name', 'grey', '--range', '0..1', '--no-float16');
  expect(added).toMatchObject({ status: 0, stdout: 'grey 1\n' });
  expect((await readdir(at('local'))).toSorted()).toEqual(expect.arrayContaining(['own-models']));
  expect((await readdir(at('local'))).filter((name) => name.startsWith('run-'))).toEqual([]);
  expect((await run('list')).stdout).toMatch(/^grey +1 +any size$[^]*^painter /m);

  await ffmpeg([...picture({ size: '64x48', seconds: 0.4 }), ...H264, at('clip.mp4')]);
  const job = await enqueue(['clip.mp4', '--model', 'grey'], options()).end;
  expect(job).toMatchObject({ status: 0 });
  // The sigmoid of -1 to 0 is 0.27 to 0.5.
  for (const value of await meanColour(at('clip.grey.mp4'))) {
    expect(value).toBeGreaterThan(60);
    expect(value).toBeLessThan(135);
  }

  expect(await run('remove', 'painter')).toMatchObject({
    status: 64,
    stderr: expect.stringContaining('it comes with framefleet') as string,
  });
  expect(await run('remove', 'grey')).toMatchObject({ status: 0 });
  expect((await run('list')).stdout).not.toContain('grey');
});
