/** How the producer allocates disk space to jobs, and what it removes when space is short. */
import { readFile, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';

import { JobFolders } from '../../../producer/jobs/job-folders.ts';
import { StepDeferredError } from '../../../producer/jobs/steps.ts';
import type { JobRequest } from '../../../shared/contract/job.ts';
import { type TestStorage, startTestStorage, testFolder } from '../../support/servers.ts';
import { uploadJob } from '../../support/upload-job.ts';

const { signal } = new AbortController();

let storage: TestStorage;
/** Of the source of each job. */
let size = 0;
let workFolder = '';
let folders: JobFolders;
const jobs: JobRequest[] = [];

beforeAll(async () => {
  storage = await startTestStorage();
  for (const jobId of ['job-1', 'job-2', 'job-3']) jobs.push(await uploadJob(storage.blobs, jobId));
  size = request(1).source.sizeBytes;
});
afterAll(() => storage[Symbol.asyncDispose]());
beforeEach(async () => {
  workFolder = await testFolder();
  folders = await openFor(4);
});
afterEach(() => rm(workFolder, { recursive: true }));

/** With room for this many sources. A step of these tests writes as much as a source, unless the test says otherwise. */
function openFor(count: number): Promise<JobFolders> {
  return JobFolders.open({ workFolder, workBytesMax: count * size, blobs: storage.blobs });
}
function request(index: number): JobRequest {
  const found = jobs[index - 1];
  if (found === undefined) throw new Error(`expected a job ${index}`);
  return found;
}
const onDisk = async (): Promise<string[]> =>
  (await readdir(path.join(workFolder, `producer-${process.pid}`))).toSorted();

test('both steps of a job share one source, and the files of a step are removed with it', async () => {
  await using stitch = await folders.enter(request(1), 'stitch', size);
  let [written, sourcePath] = ['', ''];
  {
    await using split = await folders.enter(request(1), 'split', size);
    written = path.join(split.path, 'piece.nut');
    await writeFile(written, 'x');
    sourcePath = await split.source(signal);
  }
  await expect(readFile(written)).rejects.toThrow('ENOENT');
  expect(await stitch.source(signal)).toBe(sourcePath);
  expect(await readFile(sourcePath, 'utf8')).toBe('the video of job-1');
});

test('a job without disk space waits until another job has ended', async () => {
  await using first = await folders.enter(request(1), 'split', size);
  await using second = await folders.enter(request(2), 'split', size);
  await Promise.all([first.source(signal), second.source(signal)]);
  await expect(folders.enter(request(3), 'split', size)).rejects.toThrow(StepDeferredError);
  expect(await onDisk()).toEqual(['job-1', 'job-2']);
  await folders.remove('job-1');
  await using third = await folders.enter(request(3), 'split', size);
  await third.source(signal);
  expect(await onDisk()).toEqual(['job-2', 'job-3']);
});

test('a job reserves its source, and each of its steps what it writes while it runs', async () => {
  await using first = await folders.enter(request(1), 'split', size);
  {
    await using second = await folders.enter(request(2), 'split', size);
    await Promise.all([first.source(signal), second.source(signal)]);
    await expect(folders.enter(request(1), 'stitch', 1)).rejects.toThrow(StepDeferredError);
  }
  await using stitch = await folders.enter(request(1), 'stitch', size);
  await stitch.source(signal);
  expect(await onDisk()).toEqual(['job-1', 'job-2']);
});

test('a step that needs more than all of the space gets it when no other step runs', async () => {
  {
    await using split = await folders.enter(request(1), 'split', size);
    await split.source(signal);
    await expect(folders.enter(request(2), 'stitch', 9 * size)).rejects.toThrow(StepDeferredError);
  }
  await using largest = await folders.enter(request(2), 'stitch', 9 * size);
  await largest.source(signal);
  expect(await onDisk()).toEqual(['job-2']);
});

test('a job without a running step is evicted, and its source is downloaded again later', async () => {
  for (const index of [1, 2]) {
    await using split = await folders.enter(request(index), 'split', size);
    await split.source(signal);
  }
  {
    await using third = await folders.enter(request(3), 'split', 2 * size);
    await third.source(signal);
    expect(await onDisk()).toEqual(['job-2', 'job-3']);
  }
  await using back = await folders.enter(request(1), 'stitch', 2 * size);
  expect(await readFile(await back.source(signal), 'utf8')).toBe('the video of job-1');
  expect(await onDisk()).toEqual(['job-1', 'job-3']);
});

test('one of three simultaneous steps waits if there is room for two', async () => {
  for (const index of [1, 2]) {
    await using split = await folders.enter(request(index), 'split', size);
    await split.source(signal);
  }
  const entering = [3, 1, 2].map((index) => folders.enter(request(index), 'stitch', size));
  await expect(entering[2]).rejects.toThrow(StepDeferredError);
  const entered = await Promise.all(entering.slice(0, 2));
  const sources = entered.map(async (folder) => readFile(await folder.source(signal), 'utf8'));
  expect(await Promise.all(sources)).toEqual(['the video of job-3', 'the video of job-1']);
  expect(await onDisk()).toEqual(['job-1', 'job-3']);
});

test('a step that ends late does not remove the files of a later run', async () => {
  const late = await folders.enter(request(1), 'split', size);
  await folders.remove('job-1');
  await using again = await folders.enter(request(1), 'split', size);
  await writeFile(path.join(again.path, 'piece.nut'), 'x');
  await late[Symbol.asyncDispose]();
  expect(await readdir(again.path)).toEqual(['piece.nut']);
});

test('a source may take two fifths of the disk, and a job that takes all of it runs alone', async () => {
  expect(folders.sourceBytesMax).toBe(Math.floor(4 * size * 0.4));
  const small = await openFor(2);
  await using alone = await small.enter(request(1), 'split', size);
  await alone.source(signal);
  await expect(small.enter(request(2), 'split', size)).rejects.toThrow(StepDeferredError);
});

test('without a limit all free space is used', async () => {
  const free = await JobFolders.open({ workFolder, workBytesMax: undefined, blobs: storage.blobs });
  expect(free.sourceBytesMax).toBeGreaterThan(1e6);
});

test('a failed download is started again by the next step', async () => {
  await using folder = await folders.enter(request(1), 'split', size);
  const stopped = AbortSignal.abort(new Error('stopped'));
  await expect(folder.source(stopped)).rejects.toThrow('stopped');
  expect(await readFile(await folder.source(signal), 'utf8')).toBe('the video of job-1');
});
