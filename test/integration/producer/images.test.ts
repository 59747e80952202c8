/** Still images as a job: folders, single files and blobs, of all formats, sizes and orientations. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { type BlobStore, openBlobStore } from '../../../shared/azure/blob-store.ts';
import { PATIENT, storageAccount } from '../../../shared/azure/credentials.ts';
import { contactSheetBlob, reportBlob, resultImageBlob } from '../../../shared/contract/blob-names.ts';
import { jobReport } from '../../../shared/contract/job.ts';
import { findStack } from '../../../shared/runtime/rendezvous.ts';
import { type RunningCommand, enqueue, fetchResult, startStackCommand } from '../../support/commands.ts';
import { writeHostileModel, writeMeasuringModel } from '../../support/hostile-model.ts';
import { writeIdentityModel } from '../../support/identity-model.ts';
import { testFolder } from '../../support/servers.ts';

let folder = '';
let fleet: RunningCommand;
let blobs: BlobStore;
const at = (...names: readonly string[]): string => path.join(folder, ...names);

/** Four quarters of different colours: it shows if an image is turned. */
async function quarters(width: number, height: number): Promise<Buffer> {
  const half = { width: Math.ceil(width / 2), height: Math.ceil(height / 2) };
  const quarter = (background: string) =>
    sharp({ create: { ...half, channels: 3, background } })
      .png()
      .toBuffer();
  const colours = ['#c03030', '#30c030', '#3030c0', '#c0c030'];
  const parts = await Promise.all(colours.map(quarter));
  return sharp({ create: { width, height, channels: 3, background: 'black' } })
    .composite(
      parts.map((input, index) => ({
        input,
        left: index % 2 === 0 ? 0 : width - half.width,
        top: index < 2 ? 0 : height - half.height,
      })),
    )
    .removeAlpha()
    .png()
    .toBuffer();
}

/** The mean colours of the four quarters. */
async function coloursOf(file: string | Buffer): Promise<number[][]> {
  const { data } = await sharp(file)
    .toColourspace('srgb')
    .removeAlpha()
    .resize(2, 2, { fit: 'fill', kernel: 'nearest' })
    .raw()
    .toBuffer({ resolveWithObject: true });
  return Array.from({ length: 4 }, (_, index) => [...data.subarray(index * 3, index * 3 + 3)]);
}

function expectAlike(found: number[][], wanted: number[][]): void {
  for (const [index, colour] of wanted.entries())
    for (const [channel, level] of colour.entries())
      expect(Math.abs((found[index]?.[channel] ?? -99) - level)).toBeLessThanOrEqual(6);
}

async function run(...args: string[]) {
  return enqueue(args, { localFolder: at('fleet') }).end;
}

beforeAll(async () => {
  folder = await testFolder();
  const models = at('models');
  await writeIdentityModel(models);
  await writeMeasuringModel(models);
  await writeHostileModel(models);
  fleet = startStackCommand({
    localFolder: at('fleet'),
    environment: { FRAMEFLEET_LOCAL_MODELS: models },
  });
  await mkdir(at('photos', 'second day'), { recursive: true });
  const [wide, tall] = [await quarters(120, 80), await quarters(61, 97)];
  await sharp(wide)
    .jpeg({ quality: 95 })
    .withExif({ IFD0: { Copyright: 'Ours' } })
    .toFile(at('photos', 'wide.jpg'));
  // The camera was turned: the image file lies on its side.
  await sharp(tall)
    .rotate(270)
    .jpeg({ quality: 95 })
    .withMetadata({ orientation: 6 })
    .toFile(at('photos', 'turned.JPG'));
  await sharp(wide).ensureAlpha(0.5).png().toFile(at('photos', 'clear.png'));
  await sharp(tall)
    .webp({ quality: 95 })
    .toFile(at('photos', 'second day', 'été #1.webp'));
  await sharp(wide).tiff({ compression: 'lzw' }).toFile(at('photos', 'print.tiff'));
  await sharp(wide).avif({ quality: 80 }).toFile(at('photos', 'small.avif'));
  await sharp(wide).withIccProfile('p3').png().toFile(at('photos', 'p3.png'));
  await sharp(wide).toColourspace('cmyk').jpeg({ quality: 95 }).toFile(at('photos', 'cmyk.jpeg'));
  await sharp(wide).toColourspace('rgb16').png().toFile(at('photos', 'deep.png'));
  await sharp(wide).greyscale().jpeg().toFile(at('photos', 'grey.jpg'));
  await sharp({ create: { width: 1, height: 1, channels: 3, background: '#306090' } })
    .png()
    .toFile(at('photos', 'dot.png'));
  await writeFile(at('photos', 'notes.txt'), 'not an image');
  await fleet.said('The local fleet is running');
  const card = await findStack(at('fleet'));
  blobs = await openBlobStore(
    { media: storageAccount(card?.environment['FRAMEFLEET_MEDIA_STORAGE'] ?? ''), system: null },
    PATIENT,
  );
});
afterAll(async () => {
  fleet.child.kill('SIGINT');
  await fleet.end;
  await rm(folder, { recursive: true, force: true });
});

const NAMES = [
  'clear.png',
  'cmyk.jpeg',
  'deep.png',
  'dot.png',
  'grey.jpg',
  'p3.png',
  'print.tiff',
  'second day/été #1.webp',
  'small.avif',
  'turned.JPG',
  'wide.jpg',
];

async function filesIn(name: string): Promise<string[]> {
  const entries = await readdir(at(name), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(at(name), path.join(entry.parentPath, entry.name)).normalize('NFC'))
    .toSorted();
}

test('a folder of images becomes a folder of results with the same names, sizes and orientation', async () => {
  const { status, stdout, stderr } = await run(at('photos'), '--model', 'identity');
  expect(stderr).toContain('Skipping a file that is not an image: notes.txt');
  expect(stdout).toBe(`${at('photos.identity')}\n`);
  expect(status).toBe(0);
  expect((await filesIn('photos.identity')).map((name) => name.replace('été _1', 'été #1'))).toEqual(
    NAMES.toSorted(),
  );
  const wide = await coloursOf(await quarters(120, 80));
  const tall = await coloursOf(await quarters(61, 97));
  for (const name of ['wide.jpg', 'clear.png', 'print.tiff', 'small.avif', 'deep.png']) {
    const { width, height } = await sharp(at('photos.identity', name)).metadata();
    expect([name, width, height]).toEqual([name, 120, 80]);
    expectAlike(await coloursOf(at('photos.identity', name)), wide);
  }
  const turned = await sharp(at('photos.identity', 'turned.JPG')).metadata();
  expect(turned).toMatchObject({ width: 61, height: 97, format: 'jpeg' });
  expect(turned.orientation ?? 1).toBe(1);
  expectAlike(await coloursOf(at('photos.identity', 'turned.JPG')), tall);
  expect(await sharp(at('photos.identity', 'dot.png')).metadata()).toMatchObject({ width: 1, height: 1 });
});

test('transparency, EXIF data and colours are kept', async () => {
  const clear = await sharp(at('photos.identity', 'clear.png')).metadata();
  expect(clear.hasAlpha).toBe(true);
  const { channels } = await sharp(at('photos.identity', 'clear.png')).stats();
  expect(channels[3]?.mean).toBeCloseTo(128, -1);
  expect((await sharp(at('photos.identity', 'p3.png')).metadata()).hasAlpha).toBe(false);
  expect(String((await sharp(at('photos.identity', 'wide.jpg')).metadata()).exif)).toContain('Ours');
  for (const name of ['p3.png', 'cmyk.jpeg', 'grey.jpg']) {
    // What a viewer shows: the profile of the file is applied.
    const [before, after] = [at('photos', name), at('photos.identity', name)];
    expectAlike(await coloursOf(after), await coloursOf(before));
  }
});

test('images have a contact sheet, and a report with one hash for all', async () => {
  const { stdout } = await run(at('photos'), '--model', 'identity', '--force', '--json');
  const outcome = JSON.parse(stdout) as { jobId: string; frames: number; output: string };
  expect(outcome).toMatchObject({ frames: NAMES.length, output: at('photos.identity') });
  const sheet = await blobs.get('results', contactSheetBlob(outcome.jobId));
  expect((await sharp(sheet).metadata()).format).toBe('jpeg');
  const report = jobReport.parse(JSON.parse(String(await blobs.get('results', reportBlob(outcome.jobId)))));
  const lines = await Promise.all(
    (await filesIn('photos.identity')).map(async (name) => {
      const sha256 = createHash('sha256')
        .update(await readFile(at('photos.identity', name)))
        .digest('hex');
      return `${sha256}  ${name}\n`;
    }),
  );
  const all = createHash('sha256').update(lines.toSorted().join('')).digest('hex');
  expect(report.resultSha256).toBe(all);
});

test('a folder that is not empty is not written to without --force', async () => {
  const { status, stderr } = await run(at('photos'), '--model', 'identity');
  expect(status).toBe(73);
  expect(stderr).toContain('the folder is not empty');
});

test('the folder of the images is never written to, even with --force', async () => {
  const { status, stderr } = await run(at('photos'), '--model', 'identity', '--out', at('photos'), '--force');
  expect(status).toBe(73);
  expect(stderr).toContain('it is the source itself');
});

test('a single image has its result beside it, painted in the style that was asked for', async () => {
  const { status, stdout } = await run(at('photos', 'wide.jpg'), '--style', 'candy');
  expect(stdout).toBe(`${at('photos', 'wide.candy.jpg')}\n`);
  expect(status).toBe(0);
  expect(await sharp(at('photos', 'wide.candy.jpg')).metadata()).toMatchObject({ width: 120, height: 80 });
  expect(await coloursOf(at('photos', 'wide.candy.jpg'))).not.toEqual(
    await coloursOf(at('photos', 'wide.jpg')),
  );
  await rm(at('photos', 'wide.candy.jpg'));
});

test('the same image in the same style twice gives the same bytes', async () => {
  const painted: Buffer[] = [];
  for (const name of ['once.jpg', 'twice.jpg']) {
    await run(at('photos', 'wide.jpg'), '--style', 'great-wave', '--out', at(name));
    painted.push(await readFile(at(name)));
  }
  expect(painted[0]).toEqual(painted[1]);
});

test('images from one pixel to 8K keep their size, and nothing in them is shifted', async () => {
  const sizes = [
    [1, 1],
    [1, 9],
    [14, 1],
    [2, 3],
    [101, 67],
    [1919, 1079],
    [7680, 4320],
  ] as const;
  await mkdir(at('sizes'));
  for (const [width, height] of sizes)
    await writeFile(at('sizes', `${width}x${height}.png`), await quarters(width, height));
  expect(await run(at('sizes'), '--model', 'identity')).toMatchObject({ status: 0 });
  for (const [width, height] of sizes) {
    const file = at('sizes.identity', `${width}x${height}.png`);
    const [before, after] = await Promise.all(
      [at('sizes', `${width}x${height}.png`), file].map((one) => sharp(one).removeAlpha().raw().toBuffer()),
    );
    expect([width, height, before?.equals(after ?? Buffer.alloc(0))]).toEqual([width, height, true]);
  }
});

test('an image that is broken or fails keeps its original, and the report has the reason', async () => {
  await mkdir(at('mixed'));
  const good = await quarters(64, 64);
  await writeFile(at('mixed', 'a.png'), good);
  const jpeg = await sharp(await quarters(400, 300))
    .jpeg()
    .toBuffer();
  await writeFile(at('mixed', 'cut.jpg'), jpeg.subarray(0, jpeg.length / 2));
  await writeFile(
    at('mixed', 'red.png'),
    await sharp({ create: { width: 32, height: 32, channels: 3, background: '#ff0000' } })
      .png()
      .toBuffer(),
  );
  const wrong = await sharp(good).jpeg().toBuffer();
  await writeFile(at('mixed', 'wrong ending.png'), wrong);
  const { status, stdout } = await run(
    at('mixed'),
    '--model',
    'hostile',
    '--max-failed-frames',
    '2',
    '--json',
  );
  const outcome = JSON.parse(stdout) as { jobId: string; failedFrames: number };
  expect(status).toBe(0);
  expect(outcome.failedFrames).toBe(2);
  expect(await filesIn('mixed.hostile')).toEqual(['a.png', 'cut.jpg', 'red.png', 'wrong ending.jpg']);
  for (const name of ['cut.jpg', 'red.png'])
    expect(await readFile(at('mixed.hostile', name))).toEqual(await readFile(at('mixed', name)));
  expectAlike(await coloursOf(at('mixed.hostile', 'wrong ending.jpg')), await coloursOf(good));
  const report = jobReport.parse(JSON.parse(String(await blobs.get('results', reportBlob(outcome.jobId)))));
  expect(report.failedFrames).toEqual([
    {
      frameIndex: 1,
      kind: 'source',
      message: expect.stringContaining('the image cannot be read') as string,
    },
    { frameIndex: 2, kind: 'inference', message: expect.any(String) as string },
  ]);
});

test('numbers of images have the name of each in place of its time', async () => {
  const { stdout } = await run(at('photos'), '--model', 'measuring');
  expect(stdout).toBe(`${at('photos.measuring.ndjson')}\n`);
  const lines = (await readFile(at('photos.measuring.ndjson'), 'utf8')).trimEnd().split('\n');
  const parsed = lines.map(
    (line) => JSON.parse(line) as { frame: number; name: string; outputs: { means: number[] } },
  );
  expect(parsed.map(({ name }) => name.normalize('NFC')).toSorted()).toEqual(NAMES.toSorted());
  const dot = parsed.find(({ name }) => name === 'dot.png');
  expect(dot?.outputs.means).toEqual([0x30, 0x60, 0x90]);
});

test('images that are in storage already become a job by their prefix, and its results are fetched', async () => {
  for (const name of ['wide.jpg', 'print.tiff'])
    await blobs.put('incoming', `shoot/day-1/${name}`, await readFile(at('photos', name)));
  await blobs.put('incoming', 'shoot/day-1/notes.txt', 'not an image');
  const { stdout } = await run(
    'shoot/day-1/',
    '--stored',
    '--model',
    'identity',
    '--out',
    at('stored'),
    '--json',
  );
  const { jobId } = JSON.parse(stdout) as { jobId: string };
  expect(await filesIn('stored')).toEqual(['print.tiff', 'wide.jpg']);
  expect(await blobs.stat('results', resultImageBlob(jobId, 'wide.jpg'))).toBeDefined();
  const fetched = await fetchResult([jobId, '--out', at('fetched')], { localFolder: at('fleet') }).end;
  expect(fetched.stdout).toBe(`${at('fetched')}\n`);
  expect((await stat(at('fetched', 'wide.jpg'))).size).toBe((await stat(at('stored', 'wide.jpg'))).size);
});

test.each([
  ['a folder without images', 'empty', 65, 'There is no image in the folder'],
  ['a prefix without images', 'nothing/here/', 65, 'There is no image below incoming/nothing/here/'],
])('%s is refused', async (_name, given, status, text) => {
  await mkdir(at('empty'), { recursive: true });
  const isStored = given.endsWith('/');
  const end = await run(
    isStored ? given : at(given),
    ...(isStored ? ['--stored', '--out', at('unused')] : []),
  );
  expect(end.stderr).toContain(text);
  expect(end.status).toBe(status);
});
