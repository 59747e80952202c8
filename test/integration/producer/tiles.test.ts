/** Frames that are scored in tiles. */
import { createHash } from 'node:crypto';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { H264, ffmpeg, picture } from '../../support/media-clips.ts';
import { type ModelFleet, pixelsOf, startModelFleet } from '../../support/model-fleet.ts';
import { onnxConstant, onnxInput, onnxNode, onnxOutput } from '../../support/onnx-writer.ts';

let fleet: ModelFleet;

beforeAll(async () => {
  fleet = await startModelFleet();
  await ffmpeg([...picture({ size: '96x64', rate: '10', seconds: 3 }), ...H264, fleet.at('clip.mp4')]);
});
afterAll(() => fleet[Symbol.asyncDispose]());

test('a model that looks at neighbours only gives the same video in tiles as for whole frames', async () => {
  const dims = ['n', 3, 'h', 'w'];
  const weights = Float32Array.from({ length: 81 }, (_, index) =>
    Math.floor(index / 27) === Math.floor(index / 9) % 3 ? 1 / 9 : 0,
  );
  const blur = [
    onnxInput({ name: 'x', type: 'float32', dims }),
    onnxOutput({ name: 'y', type: 'float32', dims }),
    onnxConstant('weights', [3, 3, 3, 3], weights),
    onnxNode('Conv', ['x', 'weights'], ['y'], [{ name: 'pads', ints: [1, 1, 1, 1] }]),
  ];
  await fleet.add('blur', blur, '--range', '0..1');
  await fleet.add('blur-in-tiles', blur, '--range', '0..1', '--tile', '40x32', '--tile-overlap', '2');
  await fleet.add('blur-with-seams', blur, '--range', '0..1', '--tile', '48x32', '--tile-overlap', '0');
  const results = await Promise.all(
    ['blur', 'blur-in-tiles', 'blur-with-seams'].map(async (name) => {
      const { stdout } = await fleet.run(fleet.at('clip.mp4'), '--model', name);
      return pixelsOf(stdout.trim());
    }),
  );
  const [whole, tiled, seams] = results.map((pixels) => createHash('sha256').update(pixels).digest('hex'));
  expect(tiled).toBe(whole);
  expect(seams).not.toBe(whole);
});
