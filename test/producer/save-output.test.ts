import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { type UnsavedResult, keepResult } from '../../producer/cli/enqueue/keep-result.ts';
import { type StoredResult, saveOutput } from '../../producer/cli/save-output.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';

const { signal } = new AbortController();
let folder = '';
const inFolder = (...names: readonly string[]): string => path.join(folder, ...names);

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'framefleet-test-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Its copy writes `content`, then calls `andThen`. */
function storedResult(content: string, andThen: () => unknown = () => undefined): StoredResult {
  const copyTo = async (filePath: string): Promise<void> => {
    await writeFile(filePath, content);
    await andThen();
  };
  return { jobId: 'job-1', sizeBytes: content.length, copyTo };
}

function failing(code: string, syscall = 'write'): () => never {
  return () => {
    throw Object.assign(new Error(`${code}: system message`), { code, syscall });
  };
}

const save = (stored: StoredResult, mayReplace = false): Promise<void> =>
  saveOutput(stored, { path: inFolder('a.mp4'), mayReplace }, signal);

test('saveOutput writes the complete result and leaves no other file', async () => {
  await save(storedResult('new'));
  expect(await readFile(inFolder('a.mp4'), 'utf8')).toBe('new');
  expect(await readdir(folder)).toEqual(['a.mp4']);
});

test('saveOutput replaces an existing file with --force', async () => {
  await writeFile(inFolder('a.mp4'), 'old');
  await save(storedResult('new'), true);
  expect(await readFile(inFolder('a.mp4'), 'utf8')).toBe('new');
});

test('saveOutput does not replace a file that appeared during the job without --force', async () => {
  const appears = storedResult('new', () => writeFile(inFolder('a.mp4'), 'another file'));
  await expect(save(appears)).rejects.toMatchObject({
    code: 'OUTPUT_NOT_WRITABLE',
    message: expect.stringContaining('already exists') as string,
  });
  expect(await readFile(inFolder('a.mp4'), 'utf8')).toBe('another file');
  expect(await readdir(folder)).toEqual(['a.mp4']);
});

test.each([
  ['ENOSPC', /no space/],
  ['EDQUOT', /quota/],
  ['EFBIG', /larger/],
  ['EIO', /input\/output/],
  ['EROFS', /read-only/],
  ['EACCES', /permission/],
  ['ENAMETOOLONG', /too long/],
  ['EISDIR', /folder/],
])('%s during the write throws OUTPUT_NOT_WRITABLE and keeps the existing file', async (code, reason) => {
  await writeFile(inFolder('a.mp4'), 'old');
  await expect(save(storedResult('ne', failing(code)), true)).rejects.toMatchObject({
    code: 'OUTPUT_NOT_WRITABLE',
    message: expect.stringMatching(reason) as string,
  });
  expect(await readFile(inFolder('a.mp4'), 'utf8')).toBe('old');
  expect(await readdir(folder)).toEqual(['a.mp4']);
});

test.each([
  ['ECONNRESET', 'read'],
  ['EACCES', 'connect'],
])('network error %s (%s) is thrown unchanged', async (code, syscall) => {
  await expect(save(storedResult('ne', failing(code, syscall)))).rejects.toMatchObject({ code });
  expect(await readdir(folder)).toEqual([]);
});

test('saveOutput throws OUTPUT_NOT_WRITABLE if the folder was removed', async () => {
  const gone = storedResult('new', () => rm(folder, { recursive: true }));
  await expect(save(gone)).rejects.toMatchObject({
    code: 'OUTPUT_NOT_WRITABLE',
    message: expect.stringContaining('does not exist') as string,
  });
});

test('saveOutput does not download a result that is larger than the free space', async () => {
  const stored = { ...storedResult('new', failing('EIO')), sizeBytes: 2 ** 62 };
  await expect(save(stored)).rejects.toMatchObject({
    code: 'OUTPUT_NOT_WRITABLE',
    message: expect.stringMatching(/needs [\d.]+ GB, but only [\d.]+ [kMG]B are free/) as string,
  });
});

describe('keepResult', () => {
  const refusal = new PermanentError(
    'OUTPUT_NOT_WRITABLE',
    'Cannot write the result to /x/a.mp4: it failed.',
  );
  const keep = (unsaved: Partial<UnsavedResult>): Promise<PermanentError> =>
    keepResult({
      refusal,
      stored: storedResult('new'),
      blobName: 'job-1/a.mp4',
      fileName: 'a.painter.mp4',
      ownFleet: null,
      localFolder: inFolder('local'),
      signal,
      ...unsaved,
    });
  const ownFleet = (canKeep: boolean): NonNullable<UnsavedResult['ownFleet']> => ({
    systemStorage: undefined,
    mediaStorage: '',
    failure: new Promise<never>(() => undefined),
    keepStorage: () => Promise.resolve(canKeep),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });

  test('names the fetch command for a result in the storage of a permanent fleet', async () => {
    expect(await keep({})).toMatchObject({
      code: 'OUTPUT_NOT_WRITABLE',
      message: expect.stringContaining('/x/a.mp4') as string,
      hint: expect.stringContaining('npm run fetch -- job-1') as string,
      kept: 'results/job-1/a.mp4',
    });
  });

  test('saves the result of a private fleet to the local folder', async () => {
    const kept = inFolder('local', 'kept', 'job-1', 'a.painter.mp4');
    expect(await keep({ ownFleet: ownFleet(true) })).toMatchObject({ kept });
    expect(await readFile(kept, 'utf8')).toBe('new');
  });

  test('saves to the temporary folder if the local folder cannot be written to', async () => {
    await writeFile(inFolder('local'), 'a file');
    const { kept = '' } = await keep({ ownFleet: ownFleet(true) });
    expect(path.relative(tmpdir(), kept)).toMatch(/^framefleet-kept-\w+\/a\.painter\.mp4$/);
    expect(await readFile(kept, 'utf8')).toBe('new');
    await rm(path.dirname(kept), { recursive: true });
  });

  test('keeps the storage of the private fleet if there is no space for a copy', async () => {
    await mkdir(inFolder('local'));
    const stored = storedResult('ne', failing('ENOSPC'));
    expect(await keep({ ownFleet: ownFleet(true), stored })).toMatchObject({
      kept: inFolder('local', 'kept', 'job-1'),
      hint: expect.stringContaining('npm run fetch -- job-1') as string,
    });
    const lost = await keep({ ownFleet: ownFleet(false), stored });
    expect(lost).toMatchObject({ code: 'OUTPUT_NOT_WRITABLE', kept: undefined });
    expect(lost.message).toContain('could not be kept');
  });
});
