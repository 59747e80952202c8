/** Models that return numbers, from the file through `npm run model` and a job to the lines beside the video. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { type BlobStore, openBlobStore } from '../../../shared/azure/blob-store.ts';
import { PATIENT, storageAccount } from '../../../shared/azure/credentials.ts';
import { scoresBlob } from '../../../shared/contract/blob-names.ts';
import { findStack } from '../../../shared/runtime/rendezvous.ts';
import {
  type RunningCommand,
  enqueue,
  fetchResult,
  model,
  startStackCommand,
} from '../../support/commands.ts';
import { H264, ffmpeg, ffmpegOutput, picture, pictureTimes } from '../../support/media-clips.ts';
import {
  type OnnxPart,
  onnxConstant,
  onnxInput,
  onnxModel,
  onnxNode,
  onnxOutput,
} from '../../support/onnx-writer.ts';
import { testFolder } from '../../support/servers.ts';

const DATA = path.resolve('../shared/data');
const CLASSIFIER = path.join(DATA, 'models/squeezenet1.1.onnx');
const LABELS = path.join(DATA, 'models/imagenet-labels.txt');
const FOOTAGE = path.join(DATA, 'videos/car-detection.mp4');
/** What the classifier was trained with. */
const MEAN = [0.485, 0.456, 0.406];
const STD = [0.229, 0.224, 0.225];
const SIDE = 224;

const FRAMES = { name: 'x', type: 'float32', dims: ['n', 3, 'h', 'w'] } as const;
const ONE_FRAME = { ...FRAMES, dims: [1, 3, 'h', 'w'] } as const;
/** The mean of each channel. */
const MEANS = [
  onnxInput(FRAMES),
  onnxOutput({ name: 'means', type: 'float32', dims: ['n', 3] }),
  onnxNode(
    'ReduceMean',
    ['x'],
    ['means'],
    [
      { name: 'axes', ints: [2, 3] },
      { name: 'keepdims', int: 0 },
    ],
  ),
];
/** Two boxes, and no dimension for the frame: as many as a detector finds. */
const BOXES = [
  onnxInput(ONE_FRAME),
  onnxOutput({ name: 'boxes', type: 'float32', dims: ['found', 4] }),
  onnxOutput({ name: 'classes', type: 'int64', dims: ['found'] }),
  onnxNode('ReduceMean', ['x'], ['mean'], [{ name: 'keepdims', int: 0 }]),
  onnxConstant('corners', [2, 4], Float32Array.of(0, 0, 1, 1, 0.25, 0.25, 0.5, 0.5)),
  onnxConstant('none', [1], Float32Array.of(0)),
  onnxNode('Mul', ['mean', 'none'], ['zero']),
  onnxNode('Add', ['corners', 'zero'], ['boxes']),
  onnxConstant('found classes', [2], BigInt64Array.of(3n, 7n)),
  onnxNode('Identity', ['found classes'], ['classes']),
];

interface Line {
  readonly frame: number;
  readonly seconds: number;
  readonly top?: readonly { readonly label?: string; readonly class: number; readonly score: number }[];
  readonly outputs?: Readonly<Record<string, unknown>>;
}

let folder = '';
let fleet: RunningCommand;
let blobs: BlobStore;
const at = (name: string): string => path.join(folder, name);

beforeAll(async () => {
  folder = await testFolder();
  await ffmpeg([...picture({ size: '96x64', rate: '10', seconds: 3 }), ...H264, at('clip.mp4')]);
  fleet = startStackCommand({ localFolder: at('fleet') });
  await fleet.said('The local fleet is running');
  const card = await findStack(at('fleet'));
  const media = storageAccount(card?.environment['FRAMEFLEET_MEDIA_STORAGE'] ?? '');
  blobs = await openBlobStore({ media, system: null }, PATIENT);
});
afterAll(async () => {
  fleet.child.kill('SIGINT');
  await fleet.end;
  await rm(folder, { recursive: true, force: true });
});

async function add(name: string, file: string | readonly OnnxPart[], ...flags: string[]) {
  const graphFile = typeof file === 'string' ? file : at(`${name}.onnx`);
  if (typeof file !== 'string') await writeFile(graphFile, onnxModel({ opset: 13, graph: file }));
  return model(['add', graphFile, '--name', name, '--out', folder, ...flags], { localFolder: at('fleet') })
    .end;
}

async function run(...args: string[]) {
  return enqueue(args, { localFolder: at('fleet') }).end;
}

async function linesIn(file: string): Promise<Line[]> {
  const text = await readFile(file, 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}

async function pixelsOf(file: string): Promise<Buffer> {
  return ffmpegOutput(['-i', file, '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-']);
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
    .poll(() => fetchResult([jobId, '--out', at('fetched')], { localFolder: at('fleet') }).end, {
      timeout: 60_000,
    })
    .toMatchObject({ status: 64, stderr: expect.stringContaining('The result will be a .ndjson file') });
  const fetched = await fetchResult([jobId, '--out', folder, '--force'], { localFolder: at('fleet') }).end;
  expect(fetched.stdout).toBe(`${at('clip.means.ndjson')}\n`);
  const named = await run(at('clip.mp4'), '--model', 'means', '--out', at('named.ndjson'));
  expect(named.stdout).toBe(`${at('named.ndjson')}\n`);
  expect(await readFile(at('named.ndjson'), 'utf8')).toBe(await readFile(at('clip.means.ndjson'), 'utf8'));
});

test('a result of numbers for which a video was expected is kept', async () => {
  const { status, stderr } = await run(at('clip.mp4'), '--model', 'means', '--out', at('video.mp4'));
  expect(status).toBe(73);
  expect(stderr).toContain('The result will be a .ndjson file, but --out is video.mp4.');
  expect(stderr).toContain('The result is not lost.');
});

test('--frames is refused for a model that returns numbers', async () => {
  const { status, stderr } = await run(at('clip.mp4'), '--model', 'means', '--frames', 'png');
  expect(status).toBe(65);
  expect(stderr).toContain('Model means returns numbers, so its frames cannot be published as images.');
});

test('outputs that vary in number are listed as they are', async () => {
  expect(await add('boxes', BOXES, '--range', '0..1')).toMatchObject({ status: 0 });
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
});

test('scores that are not probabilities are pointed out', async () => {
  await writeFile(at('three.txt'), 'red\ngreen\nblue\n');
  const { stderr } = await add('unscaled', MEANS, '--range', '0..255', '--labels', at('three.txt'));
  expect(stderr).toContain('Warning: The scores are not probabilities.');
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
  const listed = await model(['list'], { localFolder: at('fleet') }).end;
  expect(listed.stdout).toMatch(/^labelled +1 +any size +numbers$/m);
});

test('--draw gives a video with the labels in it, and the numbers beside it in storage', async () => {
  const { status, stdout } = await run(at('green.mp4'), '--model', 'labelled', '--draw', '--json');
  expect(status).toBe(0);
  const { jobId, output } = JSON.parse(stdout) as { jobId: string; output: string };
  expect(output).toBe(at('green.labelled.mp4'));
  expect((await pictureTimes(output)).seconds).toEqual((await pictureTimes(at('green.mp4'))).seconds);
  const scores = String(await blobs.get('results', scoresBlob(jobId)));
  expect(
    scores
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as Line).top?.[0]?.label),
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
    ...BOXES,
    onnxOutput({ name: 'likely', type: 'float32', dims: ['found'] }),
    onnxConstant('found scores', [2], Float32Array.of(0.4, 0.9)),
    onnxNode('Identity', ['found scores'], ['likely']),
  ];
  expect(await add('detector', detector, ...flags, '--labels', at('kinds.txt'))).toMatchObject({ status: 0 });
  const [width, height] = [320, 240];
  const plain = `color=green:size=${width}x${height}:rate=5:duration=1`;
  await ffmpeg(['-f', 'lavfi', '-i', plain, ...H264, at('wide.mp4')]);
  const { stdout } = await run(at('wide.mp4'), '--model', 'detector', '--draw', '--json');
  const { jobId, output } = JSON.parse(stdout) as { jobId: string; output: string };
  const [line] = String(await blobs.get('results', scoresBlob(jobId))).split('\n');
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
  const { status, stderr } = await run(at('green.mp4'), '--model', name, '--draw');
  expect(status).toBe(65);
  expect(stderr).toContain(text);
});

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
  await add('blur', blur, '--range', '0..1');
  await add('blur-in-tiles', blur, '--range', '0..1', '--tile', '40x32', '--tile-overlap', '2');
  await add('blur-with-seams', blur, '--range', '0..1', '--tile', '48x32', '--tile-overlap', '0');
  const results = await Promise.all(
    ['blur', 'blur-in-tiles', 'blur-with-seams'].map(async (name) => {
      const { stdout } = await run(at('clip.mp4'), '--model', name);
      return pixelsOf(stdout.trim());
    }),
  );
  const [whole, tiled, seams] = results.map((pixels) => createHash('sha256').update(pixels).digest('hex'));
  expect(tiled).toBe(whole);
  expect(seams).not.toBe(whole);
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
