/** Still images as a job: folders, single files and blobs, of all formats, sizes and orientations. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
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
  expect(stderr).toContain('Skipping a file: notes.txt (it is not a supported image)');
  expect(stdout).toBe(`${at('photos.identity')}\n`);
  expect(status).toBe(0);
  expect(await filesIn('photos.identity')).toEqual(NAMES.toSorted());
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

test('a folder in the folder of the images is refused, and so is the name of a file', async () => {
  const inside = await run(at('photos'), '--model', 'identity', '--out', at('photos', 'out'));
  expect(inside).toMatchObject({ status: 73 });
  expect(inside.stderr).toContain('it is in the folder of the images');
  const file = await run(at('photos'), '--model', 'identity', '--out', at('all.jpg'));
  expect(file).toMatchObject({ status: 64 });
  expect(file.stderr).toContain('The result will be a folder of images, but --out is all.jpg.');
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

test('the result of a single image may have another ending of the same format', async () => {
  const { status, stdout } = await run(
    at('photos', 'cmyk.jpeg'),
    '--model',
    'identity',
    '--out',
    at('x.JPG'),
  );
  expect(stdout).toBe(`${at('x.JPG')}\n`);
  expect(status).toBe(0);
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
  const flags = ['--model', 'hostile', '--max-failed-frames'];
  const { status, stdout } = await run(at('mixed'), ...flags, '2', '--json');
  const outcome = JSON.parse(stdout) as { jobId: string; failedFrames: number };
  expect(status).toBe(0);
  expect(outcome).toMatchObject({
    failedFrames: 2,
    failures: [
      { frame: 1, name: 'cut.jpg', reason: expect.stringContaining('the image cannot be read') as string },
      { frame: 2, name: 'red.png' },
    ],
    skipped: [],
    warnings: [expect.stringContaining('wrong ending.png as wrong ending.jpg') as string],
  });
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
  const again = await run(at('mixed'), ...flags, '2', '--force');
  expect(again.stderr).toContain('Note: 2 images could not be scored (each is kept as it was):');
  expect(again.stderr).toMatch(/^ {2}cut\.jpg: the image cannot be read/m);
  const refused = await run(at('mixed'), ...flags, '1', '--force');
  expect(refused.status).toBe(1);
  expect(refused.stderr).toMatch(/^ {2}red\.png: /m);
  expect(refused.stderr).toContain('2 of 4 images could not be scored');
});

test('names are kept whatever characters they have, and files that cannot be used are named', async () => {
  await mkdir(at('odd', 'inner'), { recursive: true });
  const names = ['100% #1?.png', 'a\\b.png', 'a_b.png', 'e\u0301te\u0301.png', 'what: "x" <y>|*.png'];
  const colours = ['#102030', '#405060', '#708090', '#a0b0c0', '#d0e0f0'];
  for (const [index, name] of names.entries())
    await sharp({ create: { width: 8, height: 8, channels: 3, background: colours[index] ?? '' } })
      .png()
      .toFile(at('odd', name));
  const pictures = await Promise.all(
    ['#ff8000', '#0080ff'].map((background) =>
      sharp({ create: { width: 9, height: 9, channels: 3, background } })
        .png()
        .toBuffer(),
    ),
  );
  await sharp(pictures, { join: { animated: true } })
    .webp({ lossless: true })
    .toFile(at('odd', 'moves.webp'));
  await symlink(at('photos', 'dot.png'), at('odd', 'linked.png'));
  await symlink(at('photos'), at('odd', 'inner', 'photos'));
  await symlink(at('nowhere'), at('odd', 'broken.png'));
  await writeFile(Buffer.concat([Buffer.from(`${at('odd')}/`), Buffer.of(0xe9), Buffer.from('.png')]), '');
  const { status, stdout } = await run(at('odd'), '--model', 'identity', '--json');
  expect(status).toBe(0);
  const { skipped, warnings } = JSON.parse(stdout) as {
    skipped: { name: string; reason: string }[];
    warnings: string[];
  };
  expect(Object.fromEntries(skipped.map(({ name, reason }) => [name, reason]))).toEqual({
    'broken.png': 'it cannot be read',
    'inner/photos': 'it is a link to a folder',
    '\uFFFD.png': 'its name is not UTF-8',
  });
  expect(warnings).toEqual([
    expect.stringContaining(': a\\b.png as a_b-1.png.') as string,
    expect.stringContaining('of which only the first picture was used: moves.webp.') as string,
  ]);
  for (const [index, name] of names.entries()) {
    const file = at('odd.identity', name.replace('a\\b', 'a_b-1'));
    const [red] = (await coloursOf(file))[0] ?? [];
    expect([name, red]).toEqual([name, Number.parseInt((colours[index] ?? '').slice(1, 3), 16)]);
  }
  expect((await coloursOf(at('odd.identity', 'moves.webp')))[0]).toEqual([255, 128, 0]);
  expect(await sharp(at('odd.identity', 'linked.png')).metadata()).toMatchObject({ width: 1 });
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

test('an image without numbers has the reason in its line', async () => {
  const { stdout } = await run(at('mixed'), '--model', 'measuring', '--max-failed-frames', '4');
  const lines = (await readFile(stdout.trim(), 'utf8')).trimEnd().split('\n');
  const found = lines.map((line) => JSON.parse(line) as { name: string; failed?: true; reason?: string });
  const cut = found.find(({ name }) => name === 'cut.jpg');
  expect(cut).toMatchObject({ failed: true, reason: expect.stringContaining('cannot be read') as string });
  expect(found.find(({ name }) => name === 'a.png')).not.toHaveProperty('reason');
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

test('a name in storage is that of a folder or of an image, and a star stands for the rest of names', async () => {
  const image = await readFile(at('photos', 'dot.png'));
  for (const name of ['d/1/a.png', 'd/1/b.png', 'd/10/c.png']) await blobs.put('incoming', name, image);
  const cases = [
    ['d/1', ['a.png', 'b.png']],
    ['d/10/c.png', ['c.png']],
    ['d/1*', ['1/a.png', '1/b.png', '10/c.png']],
  ] as const;
  for (const [given, names] of cases) {
    const out = `from-${given.replace(/\W/g, '-')}`;
    await run(given, '--stored', '--model', 'identity', '--out', at(out));
    expect(await filesIn(out)).toEqual(names);
  }
});

test.each([
  ['an empty image', 'none.png', '', 65, 'none.png is empty (0 bytes).'],
  ['a text that is called an image', 'text.jpg', 'hello', 65, 'it is not an image, or it is damaged'],
  ['an image of another format', 'camera.HEIC', 'hello', 65, 'HEIC files are not supported.'],
  ['an animation', 'moves.gif', 'GIF89a', 65, 'GIF files are not supported.'],
])('%s is refused', async (_name, file, content, status, text) => {
  await writeFile(at(file), content);
  const end = await run(at(file));
  expect(end.stderr).toContain(text);
  expect(end.status).toBe(status);
});

test('an image with too many pixels is refused, with the limit', async () => {
  await sharp({ create: { width: 9000, height: 9000, channels: 3, background: 'black' } })
    .png()
    .toFile(at('huge.png'));
  const end = await run(at('huge.png'));
  expect(end.stderr).toContain('huge.png has 81 megapixels. The limit is 67.');
  expect(end.status).toBe(65);
});

test.each([
  [['--crf', '20'], 64, 'are for videos'],
  [['--container', 'mkv'], 64, 'are for videos'],
  [['--frames', 'png'], 64, 'are for videos'],
  [['--detach', '--out', 'x.jpg'], 64, "Option '--detach' cannot be used with option '--out <path>'"],
  [['--style', 'nonsense'], 65, 'unknown style "nonsense"'],
  [['--model', 'nonsense'], 65, 'Model nonsense does not exist.'],
])('images are refused with %j, before they are uploaded', async (flags, status, text) => {
  const before = await Array.fromAsync(blobs.list('incoming', {}));
  const end = await run(at('photos', 'dot.png'), ...flags);
  expect(end.stderr).toContain(text);
  expect(end.status).toBe(status);
  expect(await Array.fromAsync(blobs.list('incoming', {}))).toHaveLength(before.length);
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
