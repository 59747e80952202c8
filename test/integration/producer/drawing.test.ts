/** `--draw`: labels and boxes of models that return numbers, drawn into the video. */
import { writeFile } from 'node:fs/promises';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { scoresBlob } from '../../../shared/contract/blob-names.ts';
import { H264, ffmpeg, pictureTimes } from '../../support/media-clips.ts';
import { type ModelFleet, pixelsOf, startModelFleet } from '../../support/model-fleet.ts';
import { FOUND_BOXES, MEANS } from '../../support/numbers-graphs.ts';
import { onnxConstant, onnxNode, onnxOutput } from '../../support/onnx-writer.ts';

let fleet: ModelFleet;
const at = (name: string): string => fleet.at(name);

beforeAll(async () => {
  fleet = await startModelFleet();
  await writeFile(at('three.txt'), 'red\ngreen\nblue\n');
  await fleet.add(
    'labelled',
    MEANS,
    '--range',
    '0..1',
    '--labels',
    at('three.txt'),
    '--top',
    '1',
    '--softmax',
  );
  await fleet.add('means', MEANS, '--range', '0..255');
  await ffmpeg(['-f', 'lavfi', '-i', 'color=green:size=64x64:rate=5:duration=1', ...H264, at('green.mp4')]);
});
afterAll(() => fleet[Symbol.asyncDispose]());

test('--draw gives a video with the labels in it, and the numbers beside it in storage', async () => {
  const { status, stdout } = await fleet.run(at('green.mp4'), '--model', 'labelled', '--draw', '--json');
  expect(status).toBe(0);
  const { jobId, output } = JSON.parse(stdout) as { jobId: string; output: string };
  expect(output).toBe(at('green.labelled.mp4'));
  expect((await pictureTimes(output)).seconds).toEqual((await pictureTimes(at('green.mp4'))).seconds);
  const scores = String(await fleet.blobs.get('results', scoresBlob(jobId)));
  expect(
    scores
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { top?: { label: string }[] }).top?.[0]?.label),
  ).toEqual(Array.from({ length: 5 }, () => 'green'));
  // The label is in the upper left corner, and nowhere else.
  const side = 64;
  const pixels = await pixelsOf(output);
  const isGreen = (x: number, y: number): boolean => {
    const at3 = (y * side + x) * 3;
    const [r = 255, g = 0, b = 255] = pixels.subarray(at3, at3 + 3);
    return r < 40 && g > 90 && b < 40;
  };
  expect(isGreen(8, 10)).toBe(false);
  expect(isGreen(60, 60)).toBe(true);
});

test('--draw frames the boxes of a detector, in pixels of the video', async () => {
  const flags = [
    '--range',
    '0..1',
    '--boxes',
    'boxes',
    '--box-scores',
    'likely',
    '--box-classes',
    'classes',
    '--box-unit',
    'share',
  ];
  await writeFile(at('kinds.txt'), 'person\nbicycle\ncar\ntruck\n');
  const detector = [
    ...FOUND_BOXES,
    onnxOutput({ name: 'likely', type: 'float32', dims: ['found'] }),
    onnxConstant('found scores', [2], Float32Array.of(0.4, 0.9)),
    onnxNode('Identity', ['found scores'], ['likely']),
  ];
  expect(await fleet.add('detector', detector, ...flags, '--labels', at('kinds.txt'))).toMatchObject({
    status: 0,
  });
  const [width, height] = [320, 240];
  const plain = `color=green:size=${width}x${height}:rate=5:duration=1`;
  await ffmpeg(['-f', 'lavfi', '-i', plain, ...H264, at('wide.mp4')]);
  const { stdout } = await fleet.run(at('wide.mp4'), '--model', 'detector', '--draw', '--json');
  const { jobId, output } = JSON.parse(stdout) as { jobId: string; output: string };
  const [line] = String(await fleet.blobs.get('results', scoresBlob(jobId))).split('\n');
  expect(JSON.parse(line ?? '')).toEqual({
    frame: 0,
    seconds: 0,
    boxes: [{ class: 7, score: 0.9, x: 80, y: 60, width: 80, height: 60 }],
  });
  const pixels = await pixelsOf(output);
  const brightAt = (x: number, y: number): number => {
    const start = (y * width + x) * 3;
    return Math.max(...pixels.subarray(start, start + 3));
  };
  const ground = brightAt(300, 220);
  // An edge of the box, and its inside.
  expect(Math.max(...[78, 79, 80, 81].map((x) => brightAt(x, 100))) - ground).toBeGreaterThan(30);
  expect(Math.abs(brightAt(120, 90) - ground)).toBeLessThan(10);
});

test.each([
  ['a model without labels', 'means', 'does not say how to draw them'],
  ['a model that returns pictures', 'painter', 'returns pictures, so there is nothing to draw'],
])('--draw is refused for %s', async (_what, name, text) => {
  const { status, stderr } = await fleet.run(at('green.mp4'), '--model', name, '--draw');
  expect(status).toBe(65);
  expect(stderr).toContain(text);
});
