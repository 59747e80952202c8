/** A wrapped graph and the same graph as it was, on the same pixels: equal within one grey level. With the models of `../shared/data`. */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';

import { InferenceSession, Tensor } from 'onnxruntime-node';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { formatOf } from '../../../worker/import/format.ts';
import { readGraph } from '../../../worker/import/graph.ts';
import { FRAMES, SCORED, wrapGraph } from '../../../worker/import/wrap.ts';
import { testFolder } from '../../support/servers.ts';

const MODELS = path.resolve('../shared/data/models');
const PICTURE = path.resolve('infra/sample/frame.jpg');
const SIDE = 720;
const PIXELS = SIDE * SIDE;

let folder = '';
let pixels: Buffer;

beforeAll(async () => {
  folder = await testFolder();
  pixels = await sharp(PICTURE).resize(SIDE, SIDE, { fit: 'fill' }).removeAlpha().raw().toBuffer();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** What a script would do: to planes of floats, and back with rounding. */
async function unwrapped(file: string, isBgr: boolean): Promise<Uint8Array> {
  const session = await InferenceSession.create(file);
  const planes = new Float32Array(3 * PIXELS);
  const plane = (channel: number): number => (isBgr ? 2 - channel : channel);
  for (let pixel = 0; pixel < PIXELS; pixel += 1)
    for (let channel = 0; channel < 3; channel += 1)
      planes[plane(channel) * PIXELS + pixel] = pixels[pixel * 3 + channel] ?? 0;
  const [input = '', output = ''] = [session.inputNames[0], session.outputNames[0]];
  const answer = await session.run({ [input]: new Tensor('float32', planes, [1, 3, SIDE, SIDE]) });
  const data = answer[output]?.data;
  const returned = data instanceof Float32Array ? data : new Float32Array();
  return Uint8Array.from({ length: returned.length }, (_, index) => {
    const value = returned[plane(index % 3) * (returned.length / 3) + Math.floor(index / 3)] ?? 0;
    return Math.min(255, Math.max(0, Math.round(value)));
  });
}

test.runIf(existsSync(MODELS)).each([
  ['candy.onnx', false],
  ['mosaic.onnx', false],
  ['mosaic.onnx', true],
])('%s gives the same picture wrapped as it was (channels reversed: %s)', async (name, isBgr) => {
  const file = path.join(MODELS, name);
  const imported = await readGraph(file);
  const format = formatOf(imported, { range: '0..255', channels: isBgr ? 'bgr' : 'rgb', values: new Map() });
  const session = await InferenceSession.create(Buffer.from(wrapGraph(imported, format)));
  const frame = new Tensor('uint8', new Uint8Array(pixels), [1, SIDE, SIDE, 3]);
  const answer = await session.run({ [FRAMES]: frame });
  const scored = answer[SCORED]?.data;
  const expected = await unwrapped(file, isBgr);
  expect(scored).toHaveLength(expected.length);
  const worst = expected.reduce(
    (max, value, index) => Math.max(max, Math.abs(value - Number(scored?.[index] ?? -99))),
    0,
  );
  expect(worst).toBeLessThanOrEqual(1);
});
