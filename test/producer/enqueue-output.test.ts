import { mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { type OutputWish, download, planOutput } from '../../producer/commands/output.ts';
import type { BlobStore } from '../../shared/azure/blob-store.ts';

let folder = '';
const inFolder = (...names: readonly string[]): string => path.join(folder, ...names);

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'framefleet-test-'));
  await writeFile(inFolder('a.video.mov'), '');
  await mkdir(inFolder('out'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Plans where the result of `a.video.mov` goes, in MP4. */
function plan(outputPath: string | undefined, wish: Partial<OutputWish> = {}): Promise<string> {
  return planOutput({
    sourcePath: inFolder('a.video.mov'),
    outputPath,
    label: 'udnie',
    container: 'mp4',
    mayOverwrite: false,
    ...wish,
  });
}

test('without a wish the result lies beside its source, named after it and what was done', async () => {
  expect(await plan(undefined)).toBe(inFolder('a.video.udnie.mp4'));
});

test('in a folder the result has the same name', async () => {
  expect(await plan(inFolder('out'))).toBe(inFolder('out', 'a.video.udnie.mp4'));
  expect(await plan(`${inFolder('out')}/`)).toBe(inFolder('out', 'a.video.udnie.mp4'));
});

test('a file may have any name of the right kind', async () => {
  expect(await plan(inFolder('new.MP4'))).toBe(inFolder('new.MP4'));
  expect(await plan(inFolder('out', 'new.mp4'))).toBe(inFolder('out', 'new.mp4'));
});

test.each(['result.mov', 'result', 'mp4', '.mp4'])(
  'a file named %s cannot be what the result will be',
  async (name) => {
    await expect(plan(inFolder(name))).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining(name) as string,
      hint: expect.stringContaining('.mp4') as string,
    });
  },
);

test('the source is never written over, whatever it is called on the way', async () => {
  const wish = { container: 'mov' } as const;
  for (const outputPath of [inFolder('a.video.mov'), inFolder('out', '..', 'a.video.mov')]) {
    await expect(plan(outputPath, wish)).rejects.toMatchObject({ code: 'OUTPUT_NOT_WRITABLE' });
  }
});

test('a folder that has the name of the result is not taken for a place to write to', async () => {
  await mkdir(inFolder('a.video.udnie.mp4'));
  await expect(plan(undefined)).rejects.toMatchObject({ code: 'OUTPUT_NOT_WRITABLE' });
});

test.each([
  ['a folder that is not there', ['no', 'result.mp4']],
  ['a folder that is a file', ['a.video.mov', 'result.mp4']],
  ['a link that leads nowhere', ['nowhere', 'result.mp4']],
])('%s is told before any work is done', async (_, names) => {
  await symlink(inFolder('gone'), inFolder('nowhere'));
  await expect(plan(inFolder(...names))).rejects.toMatchObject({
    code: 'OUTPUT_NOT_WRITABLE',
    hint: expect.stringContaining('--out') as string,
  });
});

/** A store whose download writes this, then fails where there is an error. */
function storeOf(content: string, error?: Error): BlobStore {
  const getFile: BlobStore['getFile'] = async (_container, _name, file) => {
    await writeFile(file, content);
    if (error !== undefined) throw error;
  };
  return { getFile } as BlobStore;
}

const BLOB = {
  blobName: 'abc/result.mp4',
  sizeBytes: 3,
  mayOverwrite: true,
  signal: new AbortController().signal,
};

test('a result that was downloaded stands whole under its name, in place of what was there', async () => {
  await writeFile(inFolder('out', 'a.mp4'), 'old');
  await download({ ...BLOB, blobs: storeOf('new'), outputPath: inFolder('out', 'a.mp4') });
  expect(await readFile(inFolder('out', 'a.mp4'), 'utf8')).toBe('new');
  expect(await readdir(inFolder('out'))).toEqual(['a.mp4']);
});

test('a download that breaks off leaves what was there, and nothing by half', async () => {
  await writeFile(inFolder('out', 'a.mp4'), 'old');
  const broken = download({
    ...BLOB,
    blobs: storeOf('ne', new Error('cut')),
    outputPath: inFolder('out', 'a.mp4'),
  });
  await expect(broken).rejects.toThrow('cut');
  expect(await readFile(inFolder('out', 'a.mp4'), 'utf8')).toBe('old');
  expect(await readdir(inFolder('out'))).toEqual(['a.mp4']);
});

test('planning leaves nothing behind', async () => {
  await plan(undefined);
  expect((await readdir(folder)).toSorted()).toEqual(['a.video.mov', 'out']);
});

test('a file that exists already is refused, with what to do, and overwritten only where that was asked for', async () => {
  for (const outputPath of [undefined, inFolder('out', 'old.mp4')]) {
    const target = outputPath ?? inFolder('a.video.udnie.mp4');
    await writeFile(target, 'old');
    await expect(plan(outputPath)).rejects.toMatchObject({
      code: 'OUTPUT_NOT_WRITABLE',
      message: expect.stringContaining('that file exists already') as string,
      hint: expect.stringMatching(/--force .* --out/) as string,
    });
    expect(await plan(outputPath, { mayOverwrite: true })).toBe(target);
  }
});

test('a file that comes while the job runs is not overwritten either', async () => {
  const outputPath = inFolder('out', 'a.mp4');
  await writeFile(outputPath, 'theirs');
  const late = download({ ...BLOB, blobs: storeOf('new'), outputPath, mayOverwrite: false });
  await expect(late).rejects.toMatchObject({ code: 'OUTPUT_NOT_WRITABLE' });
  expect(await readFile(outputPath, 'utf8')).toBe('theirs');
  expect(await readdir(inFolder('out'))).toEqual(['a.mp4']);
});

test('a link to the source is the source', async () => {
  await symlink(inFolder('a.video.mov'), inFolder('link.mov'));
  const wish = { container: 'mov', mayOverwrite: true } as const;
  await expect(plan(inFolder('link.mov'), wish)).rejects.toMatchObject({ code: 'OUTPUT_NOT_WRITABLE' });
});

test('a name that no file system takes is refused, and a default name is made shorter', async () => {
  await expect(plan(inFolder(`${'x'.repeat(252)}.mp4`))).rejects.toMatchObject({
    code: 'OUTPUT_NOT_WRITABLE',
    message: expect.stringContaining('its name is too long') as string,
  });
  expect(await plan(inFolder(`${'x'.repeat(246)}.mp4`))).toContain('xxx.mp4');
  const sourcePath = inFolder(`${'é'.repeat(125)}.mkv`);
  const chosen = await plan(undefined, { sourcePath });
  expect(Buffer.byteLength(path.basename(`${chosen}.part`))).toBeLessThanOrEqual(255);
  expect(path.basename(chosen)).toMatch(/^é{100,}\.udnie\.mp4$/);
  await writeFile(`${chosen}.part`, 'it fits');
});

test.each([
  ['ENOSPC', 'the disk is full'],
  ['EDQUOT', 'your quota on the disk is used up'],
  ['ENOENT', 'the folder does not exist any more'],
  ['EROFS', 'the disk is read-only'],
  ['EFBIG', 'it is larger than a file may be there'],
])('a download that ends in %s says why, and leaves nothing by half', async (code, why) => {
  const error = Object.assign(new Error(code), { code });
  const broken = download({ ...BLOB, blobs: storeOf('ne', error), outputPath: inFolder('out', 'a.mp4') });
  await expect(broken).rejects.toMatchObject({
    code: 'OUTPUT_NOT_WRITABLE',
    message: expect.stringContaining(why) as string,
    hint: expect.stringContaining('--out') as string,
  });
  expect(await readdir(inFolder('out'))).toEqual([]);
});

test('a result for which the disk has no room is not even begun', async () => {
  const outputPath = inFolder('out', 'a.mp4');
  const huge = download({ ...BLOB, blobs: storeOf('new'), outputPath, sizeBytes: 2 ** 60 });
  await expect(huge).rejects.toThrow(/the disk has \d+\.\d MB left, and it takes 1152921504606\.8 MB/);
});
