import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { type Keeping, keepResult } from '../../producer/cli/enqueue/keep-result.ts';
import { type StoredResult, saveOutput } from '../../producer/cli/save-output.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';

const { signal } = new AbortController();
let folder = '';
const inFolder = (...names: readonly string[]): string => path.join(folder, ...names);

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'framefleet-test-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Writes `content` where it is copied to, and then does what the test says. */
function storedResult(content: string, andThen: () => unknown = () => undefined): StoredResult {
  const copyTo = async (filePath: string): Promise<void> => {
    await writeFile(filePath, content);
    await andThen();
  };
  return { jobId: 'job-1', sizeBytes: content.length, copyTo };
}

function failing(code: string, syscall = 'write'): () => never {
  return () => {
    throw Object.assign(new Error(`${code}: as the system says it`), { code, syscall });
  };
}

const save = (stored: StoredResult, mayReplace = false): Promise<void> =>
  saveOutput(stored, { path: inFolder('a.mp4'), mayReplace }, signal);

test('a result stands whole under its name, and nothing else is left', async () => {
  await save(storedResult('new'));
  expect(await readFile(inFolder('a.mp4'), 'utf8')).toBe('new');
  expect(await readdir(folder)).toEqual(['a.mp4']);
});

test('with --force it replaces what is there', async () => {
  await writeFile(inFolder('a.mp4'), 'old');
  await save(storedResult('new'), true);
  expect(await readFile(inFolder('a.mp4'), 'utf8')).toBe('new');
});

test('a file that appears while the job runs is not replaced without --force', async () => {
  const appears = storedResult('new', () => writeFile(inFolder('a.mp4'), 'of somebody else'));
  await expect(save(appears)).rejects.toMatchObject({
    code: 'OUTPUT_NOT_WRITABLE',
    message: expect.stringContaining('exists already') as string,
  });
  expect(await readFile(inFolder('a.mp4'), 'utf8')).toBe('of somebody else');
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
])('%s while it is written is an error of the output, and leaves what was there', async (code, reason) => {
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
])('%s of the network (%s) stays what it is', async (code, syscall) => {
  await expect(save(storedResult('ne', failing(code, syscall)))).rejects.toMatchObject({ code });
  expect(await readdir(folder)).toEqual([]);
});

test('a folder that has gone is an error of the output', async () => {
  const gone = storedResult('new', () => rm(folder, { recursive: true }));
  await expect(save(gone)).rejects.toMatchObject({
    code: 'OUTPUT_NOT_WRITABLE',
    message: expect.stringContaining('does not exist') as string,
  });
});

test('a result that is larger than what is free is not even downloaded', async () => {
  const stored = { ...storedResult('new', failing('EIO')), sizeBytes: 2 ** 62 };
  await expect(save(stored)).rejects.toMatchObject({
    code: 'OUTPUT_NOT_WRITABLE',
    message: expect.stringMatching(/needs [\d.]+ MB, and [\d.]+ MB are free/) as string,
  });
});

describe('a result that cannot be written where it should go', () => {
  const refusal = new PermanentError(
    'OUTPUT_NOT_WRITABLE',
    'Cannot write the result to /x/a.mp4: it failed.',
  );
  const keep = (keeping: Partial<Keeping>): Promise<PermanentError> =>
    keepResult({
      refusal,
      stored: storedResult('new'),
      blobName: 'job-1/a.mp4',
      fileName: 'a.painter.mp4',
      ownFleet: null,
      localFolder: inFolder('local'),
      signal,
      ...keeping,
    });
  const ownFleet = (canKeep: boolean): NonNullable<Keeping['ownFleet']> => ({
    mediaStorage: '',
    failure: new Promise<never>(() => undefined),
    keepStorage: () => Promise.resolve(canKeep),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });

  test('stays in the storage of a fleet that stays, and the command to fetch it is printed', async () => {
    expect(await keep({})).toMatchObject({
      code: 'OUTPUT_NOT_WRITABLE',
      message: expect.stringContaining('/x/a.mp4') as string,
      hint: expect.stringContaining('npm run fetch -- job-1') as string,
      kept: 'results/job-1/a.mp4',
    });
  });

  test('is saved to the local folder before a private fleet is removed', async () => {
    const kept = inFolder('local', 'kept', 'job-1', 'a.painter.mp4');
    expect(await keep({ ownFleet: ownFleet(true) })).toMatchObject({ kept });
    expect(await readFile(kept, 'utf8')).toBe('new');
  });

  test('is saved to the temporary folder if the local folder cannot be written to', async () => {
    await writeFile(inFolder('local'), 'no folder');
    const { kept = '' } = await keep({ ownFleet: ownFleet(true) });
    expect(path.relative(tmpdir(), kept)).toMatch(/^framefleet-kept-\w+\/a\.painter\.mp4$/);
    expect(await readFile(kept, 'utf8')).toBe('new');
    await rm(path.dirname(kept), { recursive: true });
  });

  test('is left in the storage of the private fleet if there is room nowhere', async () => {
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
