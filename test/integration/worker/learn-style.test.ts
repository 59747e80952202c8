/**
 * `npm run model -- learn`: one more style for the painter, from a picture, on real storage. What needs PyTorch runs where Debian's Python has
 * it; elsewhere, a stand-in takes its place, and the command must say how to install it.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { publishModels, publishedModels } from '../../../shared/azure/publish-models.ts';
import { modelBlob } from '../../../shared/contract/blob-names.ts';
import { type ModelManifest, modelManifest } from '../../../shared/contract/model-manifest.ts';
import { isProcessAlive } from '../../../shared/runtime/process-alive.ts';
import { stylesOf } from '../../../worker/learn/add-style.ts';
import { type Painted, paintAll } from '../../../worker/learn/paint.ts';
import { model } from '../../support/commands.ts';
import { eventually } from '../../support/eventually.ts';
import { writeIdentityModel } from '../../support/identity-model.ts';
import { type TestStorage, startTestStorage, testFolder } from '../../support/servers.ts';

const PYTHON = '/usr/bin/python3';
const LEARN = 'worker/models/painter/training/learn.py';
const HAS_TORCH = spawnSync(PYTHON, [LEARN, '--check-packages']).status === 0;
const SAMPLE = 'infra/sample/frame.jpg';

let storage: TestStorage;
let folder: string;
let painting: string;

beforeAll(async () => {
  storage = await startTestStorage();
  folder = await testFolder();
  painting = path.join(folder, 'painting.png');
  await mkdir(path.join(folder, 'tmp'));
  await publishModels(storage.blobs, 'worker/models');
  await sharp(stripes(240, 200)).png().toFile(painting);
});
afterAll(() => storage[Symbol.asyncDispose]());

/** Slanted strokes in three colours. */
function stripes(width: number, height: number): Buffer {
  const lines = Array.from(
    { length: 40 },
    (_, index) =>
      `<path d="M${index * 12 - 240} ${height}l240 -${height}" stroke="${['#d33', '#236', '#eb4'][index % 3]}" stroke-width="${3 + (index % 4)}"/>`,
  );
  return Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><rect width="100%" height="100%" fill="#876"/>${lines.join('')}</svg>`,
  );
}

function learn(...args: string[]) {
  const { media, system } = storage.connection;
  return model(['learn', ...args, '--out', folder], {
    localFolder: folder,
    currentFolder: folder,
    environment: {
      FRAMEFLEET_MEDIA_STORAGE: media,
      FRAMEFLEET_SYSTEM_STORAGE: system,
      TMPDIR: path.join(folder, 'tmp'),
    },
  });
}

async function standIn(name: string, lines: readonly string[]): Promise<string> {
  const program = path.join(folder, name);
  await writeFile(program, ['#!/bin/sh', ...lines, ''].join('\n'));
  await chmod(program, 0o755);
  return program;
}

const versions = async (): Promise<string[]> => (await publishedModels(storage.blobs)).get('painter') ?? [];
/** Without the files that ONNX Runtime writes. */
const leftovers = async (): Promise<string[]> =>
  (await readdir(path.join(folder, 'tmp'))).filter((name) => name.startsWith('framefleet'));

async function manifestOf(version: string): Promise<ModelManifest> {
  const bytes = await storage.blobs.get('models', modelBlob({ name: 'painter', version }, 'model.json'));
  return modelManifest.parse(JSON.parse(String(bytes)));
}

/** What a published version makes of the sample frame, in all of its styles. */
async function paintedBy(version: string): Promise<Painted & { readonly bytes: Buffer }> {
  const [modelPath, manifestPath] = ['onnx', 'json'].map((end) => path.join(folder, `${version}.${end}`)) as [
    string,
    string,
  ];
  await storage.blobs.getFile('models', modelBlob({ name: 'painter', version }, 'model.onnx'), modelPath);
  await writeFile(manifestPath, JSON.stringify(await manifestOf(version)));
  const prefix = path.join(folder, version);
  const { signal } = new AbortController();
  const painted = await paintAll({ modelPath, manifestPath, picturePath: SAMPLE, prefix, signal });
  return { ...painted, bytes: await readFile(painted.paintedPath) };
}

describe.runIf(HAS_TORCH)('with PyTorch', () => {
  test('a style is learned and published, then another one, and the styles before stay as they were', async () => {
    const first = await learn(painting, '--name', 'stripes', '--title', 'Stripes', '--steps', '3').end;
    expect(first).toMatchObject({ status: 0, stdout: 'painter 3-1\n' });
    expect(first.stderr).toContain('npm run enqueue -- video.mp4 --style stripes');
    const preview = path.join(folder, 'painter-3-1-stripes.jpg');
    expect(first.stderr).toContain(preview);
    // The painting, 360 pixels high, the frame and the frame in the new style.
    expect(await sharp(preview).metadata()).toMatchObject({ width: 432 + 2 * (640 + 8), height: 360 });

    const second = await learn(painting, '--name', 'again', '--steps', '2', '--photos', painting, '--json')
      .end;
    expect(second.status).toBe(0);
    expect(JSON.parse(second.stdout)).toMatchObject({
      style: 'again',
      manifest: { version: '3-2' },
      command: 'npm run enqueue -- video.mp4 --style again',
    });
    expect(await versions()).toEqual(['3', '3-1', '3-2']);
    const styles = stylesOf(await manifestOf('3'));
    expect(stylesOf(await manifestOf('3-2'))).toEqual([...styles, 'stripes', 'again']);
    expect((await manifestOf('3-2')).parameters['style']?.values[styles.length]).toEqual({
      id: 'stripes',
      title: 'Stripes',
    });

    // The file with float16 arithmetic has the new style, too.
    const [base, learned] = [await manifestOf('3'), await manifestOf('3-2')];
    expect(learned.float16?.sha256).not.toBe(base.float16?.sha256);
    const half = await storage.blobs.get('models', 'painter/3-2/model-float16.onnx');
    expect(half && createHash('sha256').update(half).digest('hex')).toBe(learned.float16?.sha256);

    const [shipped, one, two] = [await paintedBy('3'), await paintedBy('3-1'), await paintedBy('3-2')];
    expect(one.bytes.subarray(0, shipped.bytes.length).equals(shipped.bytes)).toBe(true);
    expect(two.bytes.subarray(0, one.bytes.length).equals(one.bytes)).toBe(true);
    const picture = shipped.size.width * shipped.size.height * 3;
    expect(two.bytes.length).toBe(shipped.bytes.length + 2 * picture);
    // The second started from another style or from the first one, and has learned something else.
    expect(two.bytes.subarray(one.bytes.length).equals(one.bytes.subarray(shipped.bytes.length))).toBe(false);
    expect(await leftovers()).toEqual([]);

    const taken = await learn(painting, '--name', 'stripes').end;
    expect(taken).toMatchObject({
      status: 64,
      stderr: expect.stringContaining('has a style stripes already'),
    });
  });

  test('a network that paints something else than the graph does not learn', async () => {
    const { size, pixelsPath, paintedPath } = await paintedBy('3');
    const wrong = path.join(folder, 'wrong.rgb');
    await writeFile(
      wrong,
      (await readFile(paintedPath)).map((level) => 255 - level),
    );
    const graph = 'worker/models/painter/painter.onnx';
    const check = ['--check', pixelsPath, wrong, String(size.width), String(size.height)];
    const { status, stdout } = spawnSync(PYTHON, [LEARN, graph, painting, folder, 'rows.json', ...check]);
    expect(status).toBe(1);
    expect(String(stdout)).toMatch(/^{"refused": "it paints something else than the network/);
  });
});

describe('without a training', () => {
  test('the packages that are missing are named, with the command that installs them', async () => {
    const bare = await standIn('bare-python', [`exec ${PYTHON} -S -E "$@"`]);
    const { status, stderr } = await learn(painting, '--name', 'bare', '--python', bare).end;
    expect(status).toBe(69);
    expect(stderr).toContain('lacks the packages python3-torch, python3-onnx, python3-numpy, python3-pil');
    expect(stderr).toContain('sudo apt-get install --no-install-recommends python3-torch');
  });

  test('a Python that does not exist is named', async () => {
    const { status, stderr } = await learn(painting, '--name', 'bare', '--python', '/nowhere/python3').end;
    expect(status).toBe(69);
    expect(stderr).toContain('The program /nowhere/python3 is not installed.');
  });

  test.each([
    ['a file that is missing', 'missing.png', 66, 'Cannot find'],
    ['a folder', '.', 66, 'it is a folder'],
    ['a text', 'notes.txt', 65, 'the image cannot be read'],
    ['a video', 'harbour.mp4', 65, 'To learn from a frame of a video'],
    ['an image of one colour', 'grey.png', 65, 'it has one colour all over'],
    ['a tiny image', 'tiny.png', 65, 'it has 60 x 40 pixels, too few to show strokes'],
  ])('%s is refused, with what to do', async (_, name, expected, message) => {
    const files: Record<string, () => Promise<unknown>> = {
      'notes.txt': () => writeFile(path.join(folder, name), 'not a picture'),
      'harbour.mp4': async () =>
        writeFile(path.join(folder, name), await readFile('infra/sample/harbour.mp4')),
      'grey.png': () =>
        sharp({ create: canvas(300, 300) })
          .png()
          .toFile(path.join(folder, name)),
      'tiny.png': () => sharp(stripes(60, 40)).png().toFile(path.join(folder, name)),
    };
    await files[name]?.();
    const before = await versions();
    const { status, stderr } = await learn(path.join(folder, name), '--name', 'bad', '--python', '/bin/true')
      .end;
    expect(stderr).toContain(message);
    expect(stderr).toMatch(/Pass|Check the path/);
    expect(status).toBe(expected);
    expect(await versions()).toEqual(before);
    expect(await leftovers()).toEqual([]);
  });

  test('a scan of 100 megapixels is scaled down, and a folder without images is refused', async () => {
    const scan = path.join(folder, 'scan.jpg');
    await sharp(stripes(240, 200))
      .resize(10_000, 10_000, { fit: 'fill', kernel: 'nearest' })
      .jpeg()
      .toFile(scan);
    await mkdir(path.join(folder, 'empty'));
    await writeFile(path.join(folder, 'empty', 'notes.txt'), 'no photo');
    const photos = path.join(folder, 'empty');
    const { status, stderr } = await learn(
      scan,
      '--name',
      'scan',
      '--photos',
      photos,
      '--python',
      '/bin/true',
    ).end;
    expect(stderr).toContain('There is no image in the folder');
    expect(status).toBe(65);
  });

  test('a model that only has the name of the painter is refused', async () => {
    const other = path.join(folder, 'other');
    await writeIdentityModel(other);
    const identity = path.join(other, 'identity');
    const manifest = JSON.parse(await readFile(path.join(identity, 'model.json'), 'utf8')) as object;
    const named = { ...manifest, name: 'painter', version: '9' };
    await writeFile(path.join(identity, 'model.json'), JSON.stringify(named));
    await publishModels(storage.blobs, other);
    try {
      const { status, stderr } = await learn(painting, '--name', 'other', '--python', '/bin/true').end;
      expect(stderr).toContain('The model painter 9 is not the painter of this project');
      expect(status).toBe(65);
    } finally {
      await storage.blobs.remove('models', modelBlob({ name: 'painter', version: '9' }, 'model.json'));
    }
  });

  test('a training that fails says why, and nothing is published', async () => {
    const before = await versions();
    const failing = await standIn('failing', [
      '[ "$2" = --check-packages ] && exit 0',
      'echo "RuntimeError: out of memory" >&2',
      'exit 3',
    ]);
    const { status, stderr } = await learn(painting, '--name', 'failing', '--python', failing).end;
    expect(status).toBe(70);
    expect(stderr).toContain('The training failed (status 3: RuntimeError: out of memory).');
    expect(await versions()).toEqual(before);
    expect(await leftovers()).toEqual([]);
  });

  test('SIGTERM stops the training and leaves nothing behind', async () => {
    const before = await versions();
    const pidFile = path.join(folder, 'python.pid');
    const training = HAS_TORCH
      ? `exec ${PYTHON} "$@"`
      : `echo '{"share":0.1,"step":1,"secondsLeft":9}'; exec sleep 1000`;
    const python = await standIn('watched', [
      '[ "$2" = --check-packages ] && exit 0',
      `echo $$ > ${pidFile}`,
      training,
    ]);
    const running = learn(painting, '--name', 'stopped', '--steps', '100000', '--python', python);
    await running.said('step 1');
    const pid = Number(await readFile(pidFile, 'utf8'));
    expect(isProcessAlive(pid)).toBe(true);
    running.child.kill('SIGTERM');
    expect(await running.end).toMatchObject({ status: 130, stdout: '' });
    await eventually('the training has ended', () => !isProcessAlive(pid));
    expect(await versions()).toEqual(before);
    expect(await leftovers()).toEqual([]);
    expect((await readdir(folder)).filter((name) => name.includes('stopped'))).toEqual([]);
  });
});

function canvas(width: number, height: number) {
  return { width, height, channels: 3 as const, background: { r: 120, g: 130, b: 140 } };
}
