/** Models that return numbers, from the file through `npm run model` and a job to the lines beside the video. */
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { fetchResult, model } from '../../support/commands.ts';
import { H264, ffmpeg, picture } from '../../support/media-clips.ts';
import { type ModelFleet, pixelsOf, startModelFleet } from '../../support/model-fleet.ts';
import { FOUND_BOXES, MEANS } from '../../support/numbers-graphs.ts';
import { onnxNode, onnxOutput } from '../../support/onnx-writer.ts';

const DATA = path.resolve('../shared/data');
const CLASSIFIER = path.join(DATA, 'models/squeezenet1.1.onnx');
const LABELS = path.join(DATA, 'models/imagenet-labels.txt');
const FOOTAGE = path.join(DATA, 'videos/car-detection.mp4');
/** What the classifier was trained with. */
const MEAN = [0.485, 0.456, 0.406];
const STD = [0.229, 0.224, 0.225];
const SIDE = 224;

interface Line {
  readonly frame: number;
  readonly seconds: number;
  readonly top?: readonly { readonly label?: string; readonly class: number; readonly score: number }[];
  readonly outputs?: Readonly<Record<string, unknown>>;
}

let fleet: ModelFleet;
const at = (name: string): string => fleet.at(name);
const add = (...args: Parameters<ModelFleet['add']>) => fleet.add(...args);
const run = (...args: string[]) => fleet.run(...args);

beforeAll(async () => {
  fleet = await startModelFleet();
  await ffmpeg([...picture({ size: '96x64', rate: '10', seconds: 3 }), ...H264, at('clip.mp4')]);
});
afterAll(() => fleet[Symbol.asyncDispose]());

async function linesIn(file: string): Promise<Line[]> {
  const text = await readFile(file, 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}

test('an embedding gives a line for each frame beside the video, with its time', async () => {
  const added = await add('means', MEANS, '--range', '0..255');
  expect(added.stderr).toContain('Output: numbers, "means" (float32, n x 3).');
  expect(added).toMatchObject({ status: 0, stdout: 'means 1\n' });
  const { status, stdout } = await run(at('clip.mp4'), '--model', 'means', '--batch', '7');
  expect(stdout).toBe(`${at('clip.means.ndjson')}\n`);
  expect(status).toBe(0);
  const lines = await linesIn(at('clip.means.ndjson'));
  expect(lines.map(({ frame }) => frame)).toEqual(Array.from({ length: 30 }, (_, index) => index));
  expect(lines.map(({ seconds }) => seconds)).toEqual(lines.map(({ frame }) => frame / 10));
  const pixels = await pixelsOf(at('clip.mp4'));
  for (const { frame, outputs } of lines) {
    const means = outputs?.['means'] as number[];
    for (const [channel, mean] of means.entries()) {
      let sum = 0;
      for (let index = channel; index < 96 * 64 * 3; index += 3)
        sum += pixels[frame * 96 * 64 * 3 + index] ?? 0;
      // ffmpeg converts the clip in another way here.
      expect(Math.abs(mean - sum / (96 * 64))).toBeLessThan(4);
    }
  }
});

test('a result of numbers is fetched, and written to a file that its user names', async () => {
  const { stdout } = await run(at('clip.mp4'), '--model', 'means', '--json', '--detach');
  const { jobId } = JSON.parse(stdout) as { jobId: string };
  await expect
    .poll(() => fetchResult([jobId, '--out', at('fetched')], { localFolder: fleet.localFolder }).end, {
      timeout: 60_000,
    })
    .toMatchObject({ status: 64, stderr: expect.stringContaining('The result will be a .ndjson file') });
  const fetched = await fetchResult([jobId, '--out', fleet.folder, '--force'], {
    localFolder: fleet.localFolder,
  }).end;
  expect(fetched.stdout).toBe(`${at('clip.means.ndjson')}\n`);
  const named = await run(at('clip.mp4'), '--model', 'means', '--out', at('named.ndjson'));
  expect(named.stdout).toBe(`${at('named.ndjson')}\n`);
  expect(await readFile(at('named.ndjson'), 'utf8')).toBe(await readFile(at('clip.means.ndjson'), 'utf8'));
});

test.each([
  [['--out', 'video.mp4'], 64, 'The result will be a .ndjson file, but --out is video.mp4.'],
  [['--crf', '20'], 65, 'Model means returns numbers, so there is no video to encode.'],
  [['--container', 'mp4'], 65, 'Model means returns numbers, so there is no video to encode.'],
  [['--frames', 'png'], 65, 'Model means returns numbers, so its frames cannot be published as images.'],
])('a model that returns numbers is refused with %j, before the upload', async (flags, status, text) => {
  const before = await Array.fromAsync(fleet.blobs.list('incoming', {}));
  const end = await run(at('clip.mp4'), '--model', 'means', '--force', ...flags);
  expect(end.stderr).toContain(text);
  expect(end.status).toBe(status);
  expect(await Array.fromAsync(fleet.blobs.list('incoming', {}))).toHaveLength(before.length);
});

test('a video of the same name does not stand in the way of numbers', async () => {
  await writeFile(at('clip.means.mp4'), 'not touched');
  expect(await run(at('clip.mp4'), '--model', 'means', '--force')).toMatchObject({ status: 0 });
  expect(await readFile(at('clip.means.mp4'), 'utf8')).toBe('not touched');
});

test('outputs that vary in number are listed as they are', async () => {
  expect(await add('boxes', FOUND_BOXES, '--range', '0..1')).toMatchObject({ status: 0 });
  const { stdout } = await run(at('clip.mp4'), '--model', 'boxes');
  expect(stdout).toBe(`${at('clip.boxes.ndjson')}\n`);
  const lines = await linesIn(at('clip.boxes.ndjson'));
  expect(lines).toHaveLength(30);
  expect(lines[29]?.outputs).toEqual({
    boxes: [
      [0, 0, 1, 1],
      [0.25, 0.25, 0.5, 0.5],
    ],
    classes: [3, 7],
  });
});

test('labels must fit the scores', async () => {
  await writeFile(at('two.txt'), 'red\ngreen\n');
  const { status, stderr } = await add('labelled', MEANS, '--range', '0..1', '--labels', at('two.txt'));
  expect(status).toBe(65);
  expect(stderr).toContain('there are 2 labels for 3 scores');
  expect(stderr).toContain('one line for each score');
});

test('scores that are not probabilities are pointed out', async () => {
  await writeFile(at('three.txt'), 'red\ngreen\nblue\n');
  const { stderr } = await add('unscaled', MEANS, '--range', '0..255', '--labels', at('three.txt'));
  expect(stderr).toContain('Warning: The scores are not probabilities.');
});

test('outputs that are not finite are pointed out', async () => {
  const logarithms = [
    ...MEANS,
    onnxNode('Log', ['means'], ['logs']),
    onnxOutput({ name: 'logs', type: 'float32', dims: ['n', 3] }),
  ];
  // The logarithm of a number below zero is not a number.
  const { status, stderr } = await add('not-finite', logarithms, '--range', '-1..1', '--mean', '5');
  expect(stderr).toContain('Warning: The output "logs" has values that are infinite or not a number');
  expect(status).toBe(0);
});

test('the best label of each frame is reported, and the list shows that the model returns numbers', async () => {
  await writeFile(at('three.txt'), 'red\ngreen\nblue\n');
  const flags = ['--range', '0..1', '--labels', at('three.txt'), '--top', '1', '--softmax'];
  const added = await add('labelled', MEANS, ...flags);
  expect(added.stderr).not.toContain('Warning');
  expect(added.stderr).toMatch(/The model says of it: \{"frame":0,"top":\[\{"label":"(red|green|blue)"/);
  await ffmpeg(['-f', 'lavfi', '-i', 'color=green:size=64x64:rate=5:duration=1', ...H264, at('green.mp4')]);
  await run(at('green.mp4'), '--model', 'labelled');
  const lines = await linesIn(at('green.labelled.ndjson'));
  expect(lines).toHaveLength(5);
  for (const { top } of lines) expect(top).toMatchObject([{ label: 'green', class: 1 }]);
  const listed = await model(['list'], { localFolder: fleet.localFolder }).end;
  expect(listed.stdout).toMatch(/^labelled +1 +any size +numbers$/m);
});

test.runIf(existsSync(CLASSIFIER))(
  'a classifier says of real footage what it says when it is run directly',
  async () => {
    // At the size of the model and without loss, so that both see the same pixels.
    const lossless = ['-c:v', 'libx264rgb', '-qp', '0', '-preset', 'ultrafast'];
    const cut = ['-ss', '3', '-i', FOOTAGE, '-frames:v', '40', '-vf', `scale=${SIDE}:${SIDE}`, '-an'];
    await ffmpeg([...cut, ...lossless, at('footage.mkv')]);
    const flags = ['--range', '0..1', '--mean', MEAN.join(','), '--std', STD.join(','), '--labels', LABELS];
    const refused = await add('squeezenet', CLASSIFIER, ...flags, '--softmax');
    expect(refused.stderr).toContain('its scores are probabilities already.');
    expect(await add('squeezenet', CLASSIFIER, ...flags)).toMatchObject({ status: 0 });
    const { stdout } = await run(at('footage.mkv'), '--model', 'squeezenet');
    expect(stdout).toBe(`${at('footage.squeezenet.ndjson')}\n`);
    const lines = await linesIn(at('footage.squeezenet.ndjson'));
    const labels = (await readFile(LABELS, 'utf8')).trimEnd().split('\n');
    const pixels = await pixelsOf(at('footage.mkv'));
    const session = await InferenceSession.create(CLASSIFIER);
    expect(lines).toHaveLength(40);
    for (const { frame, top = [] } of lines) {
      const probabilities = await classify(session, pixels.subarray(frame * SIDE * SIDE * 3));
      expect(top).toHaveLength(5);
      expect(top[0]?.score).toBeCloseTo(Math.max(...probabilities), 4);
      for (const { label, class: number, score } of top) {
        expect(label).toBe(labels[number]);
        expect(Math.abs(score - (probabilities[number] ?? 0))).toBeLessThan(1e-4);
      }
    }
  },
);

async function classify(session: InferenceSession, pixels: Buffer): Promise<number[]> {
  const values = new Float32Array(3 * SIDE * SIDE);
  for (let pixel = 0; pixel < SIDE * SIDE; pixel += 1)
    for (let channel = 0; channel < 3; channel += 1)
      values[channel * SIDE * SIDE + pixel] =
        ((pixels[pixel * 3 + channel] ?? 0) / 255 - (MEAN[channel] ?? 0)) / (STD[channel] ?? 1);
  const [input = '', output = ''] = [session.inputNames[0], session.outputNames[0]];
  const answer = await session.run({ [input]: new Tensor('float32', values, [1, 3, SIDE, SIDE]) });
  const data = answer[output]?.data;
  return data instanceof Float32Array ? [...data] : [];
}
