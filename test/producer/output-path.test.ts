import { link, mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { type OutputRequest, planOutput } from '../../producer/cli/output-path.ts';

let folder = '';
const inFolder = (...names: readonly string[]): string => path.join(folder, ...names);

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'framefleet-test-'));
  await writeFile(inFolder('a.video.mov'), 'source');
  await mkdir(inFolder('out'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** The path planned for the result of `a.video.mov`, in MP4. */
async function plan(outputPath: string | undefined, request: Partial<OutputRequest> = {}): Promise<string> {
  const planned = await planOutput({
    sourcePath: inFolder('a.video.mov'),
    outputPath,
    defaultFolder: folder,
    stem: 'a.video',
    label: 'candy',
    container: 'mp4',
    mayReplace: false,
    ...request,
  });
  return planned.path;
}

test('without --out, the result goes to the default folder, named after its source and style', async () => {
  expect(await plan(undefined)).toBe(inFolder('a.video.candy.mp4'));
});

test('a folder as --out receives the default name', async () => {
  expect(await plan(inFolder('out'))).toBe(inFolder('out', 'a.video.candy.mp4'));
  expect(await plan(`${inFolder('out')}/`)).toBe(inFolder('out', 'a.video.candy.mp4'));
});

test('a file as --out may have any name with the extension of the container', async () => {
  expect(await plan(inFolder('new.MP4'))).toBe(inFolder('new.MP4'));
  expect(await plan(inFolder('out', 'new.mp4'))).toBe(inFolder('out', 'new.mp4'));
});

test.each(['result.mov', 'result', 'mp4', '.mp4'])('--out rejects a file named %s', async (name) => {
  await expect(plan(inFolder(name))).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.stringContaining(name) as string,
    hint: expect.stringContaining('.mp4') as string,
  });
});

test.each([
  ['--out', 'old.mp4', 'old.mp4'],
  ['the default name', 'a.video.candy.mp4', undefined],
])('an existing file is rejected without --force and accepted with it: %s', async (_, name, out) => {
  await writeFile(inFolder(name), 'old');
  const outputPath = out === undefined ? undefined : inFolder(out);
  await expect(plan(outputPath)).rejects.toMatchObject({
    code: 'OUTPUT_NOT_WRITABLE',
    message: expect.stringContaining('already exists') as string,
    hint: expect.stringMatching(/--force.*--out/) as string,
  });
  expect(await plan(outputPath, { mayReplace: true })).toBe(inFolder(name));
  expect(await readFile(inFolder(name), 'utf8')).toBe('old');
});

test('the source is rejected under any of its names, even with --force', async () => {
  await symlink(inFolder('a.video.mov'), inFolder('symbolic.mov'));
  await link(inFolder('a.video.mov'), inFolder('hard.mov'));
  const names = [['a.video.mov'], ['out', '..', 'a.video.mov'], ['symbolic.mov'], ['hard.mov']];
  for (const parts of names) {
    await expect(plan(inFolder(...parts), { container: 'mov', mayReplace: true })).rejects.toMatchObject({
      code: 'OUTPUT_NOT_WRITABLE',
      message: expect.stringContaining('the source itself') as string,
    });
  }
});

test('with --force, a symbolic link is kept and its target is replaced', async () => {
  await writeFile(inFolder('out', 'real.mp4'), 'old');
  await symlink(inFolder('out', 'real.mp4'), inFolder('link.mp4'));
  expect(await plan(inFolder('link.mp4'), { mayReplace: true })).toBe(inFolder('out', 'real.mp4'));
});

test('a broken symbolic link counts as an existing file', async () => {
  await symlink(inFolder('gone.mp4'), inFolder('link.mp4'));
  await expect(plan(inFolder('link.mp4'))).rejects.toMatchObject({ code: 'OUTPUT_NOT_WRITABLE' });
  expect(await plan(inFolder('link.mp4'), { mayReplace: true })).toBe(inFolder('link.mp4'));
});

test('a folder or device with the name of the result is rejected, even with --force', async () => {
  await mkdir(inFolder('a.video.candy.mp4'));
  await symlink('/dev/null', inFolder('device.mp4'));
  for (const outputPath of [undefined, inFolder('device.mp4')]) {
    await expect(plan(outputPath, { mayReplace: true })).rejects.toMatchObject({
      code: 'OUTPUT_NOT_WRITABLE',
      message: expect.stringMatching(/is a folder|not a regular file/) as string,
    });
  }
});

test.each([
  ['a folder that does not exist', ['no', 'result.mp4'], /does not exist/],
  ['a folder that is a file', ['a.video.mov', 'result.mp4'], /not a folder/],
  ['a broken link', ['nowhere', 'result.mp4'], /does not exist/],
  ['a name of 256 bytes', [`${'n'.repeat(252)}.mp4`], /too long/],
  ['a path of more than 4096 bytes', [...Array.from({ length: 1400 }, () => 'out/..'), 'a.mp4'], null],
  ['a file system without regular files', ['/', 'proc', 'self', 'result.mp4'], /does not exist|permission/],
])('%s is rejected before the job starts', async (_, names, reason) => {
  await symlink(inFolder('gone'), inFolder('nowhere'));
  const joined = names[0] === '/' ? path.join(...names) : `${folder}/${names.join('/')}`;
  await expect(plan(joined)).rejects.toMatchObject({
    code: 'OUTPUT_NOT_WRITABLE',
    message: expect.stringMatching(reason ?? /too long/) as string,
    hint: expect.stringContaining('--out') as string,
  });
});

test.each([
  ['letters of one byte', 'n'.repeat(251)],
  ['letters of three bytes', 'ビ'.repeat(83)],
  ['characters of four bytes', '🎬'.repeat(62)],
])('a default name that is too long is shortened to 255 bytes and keeps its suffix: %s', async (_, stem) => {
  const planned = await plan(undefined, { stem });
  const name = path.basename(planned);
  expect(name).toMatch(/\.candy\.mp4$/);
  expect(stem.startsWith(name.replace('.candy.mp4', ''))).toBe(true);
  expect(Buffer.byteLength(name)).toBeGreaterThan(255 - 4);
  expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255);
});

test('planOutput leaves no file behind', async () => {
  await plan(undefined);
  await plan(undefined, { mayReplace: true });
  expect((await readdir(folder)).toSorted()).toEqual(['a.video.mov', 'out']);
});
