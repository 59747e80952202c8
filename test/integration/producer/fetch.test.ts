/** `npm run fetch` as a user runs it, on the storage emulator. */
import { readFile, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';

import { resultBlob, statusBlob, triggerBlob } from '../../../shared/contract/blob-names.ts';
import type { JobRequest, JobStatus } from '../../../shared/contract/job.ts';
import { type CommandEnd, enqueue, fetchResult, jobCommand } from '../../support/commands.ts';
import { H264, ffmpeg, picture } from '../../support/media-clips.ts';
import { type TestStorage, startTestStorage, testFolder } from '../../support/servers.ts';

const JOB = '20261123-061502-harbour-9f3a1c';

let storage: TestStorage;
let folder = '';
const at = (name: string): string => path.join(folder, name);

beforeAll(async () => {
  storage = await startTestStorage();
});
afterAll(() => storage[Symbol.asyncDispose]());
beforeEach(async () => {
  folder = await testFolder();
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Configures only the media account: users who enqueue have access to no other. */
function run(...args: string[]): Promise<CommandEnd> {
  return fetchResult(args, {
    localFolder: at('fleet'),
    environment: { FRAMEFLEET_MEDIA_STORAGE: storage.connection.media, INIT_CWD: folder },
  }).end;
}

async function putJob(jobId: string): Promise<void> {
  const request: JobRequest = {
    version: 1,
    jobId,
    source: { name: 'harbour.mp4', sizeBytes: 5, etag: '"1"' },
    model: { name: 'painter' },
    parameters: { style: 'candy' },
    priority: 'normal',
    onFailedFrame: 'keep-original',
    createdAt: '2026-11-23T06:15:02.000Z',
  };
  await storage.blobs.put('incoming', triggerBlob(jobId), JSON.stringify(request));
}

async function putStatus(jobId: string, status: Partial<JobStatus>): Promise<void> {
  const whole: JobStatus = {
    version: 1,
    jobId,
    state: 'running',
    frames: { expected: 100, split: 100, scored: 40, failed: 1, underway: 0, stitched: 30 },
    pace: null,
    scoringSince: null,
    updatedAt: '2026-11-23T06:16:00.000Z',
    warnings: [],
    heldAtCap: null,
    pausedSince: null,
    spent: 0,
    result: null,
    error: null,
    ...status,
  };
  await storage.blobs.put('results', statusBlob(jobId), JSON.stringify(whole));
}

async function putResult(jobId: string): Promise<void> {
  const blobName = resultBlob(jobId, 'harbour.mp4');
  await storage.blobs.put('results', blobName, 'a video');
  await putStatus(jobId, { state: 'completed', result: { blobName, sizeBytes: 7 } });
}

test('fetch writes the result of a finished job to the current folder, with the same name as enqueue', async () => {
  await putJob(JOB);
  await putResult(JOB);
  const { status, stdout, stderr } = await run(JOB);
  expect({ status, stdout, stderr }).toEqual({
    status: 0,
    stdout: `${at('harbour.candy.mp4')}\n`,
    stderr: '',
  });
  expect(await readFile(at('harbour.candy.mp4'), 'utf8')).toBe('a video');
  expect(await readdir(folder)).toEqual(['harbour.candy.mp4']);
});

test('fetch does not replace an existing file without --force', async () => {
  await putJob(JOB);
  await putResult(JOB);
  await writeFile(at('old.mp4'), 'old');
  const refused = await run(JOB, '--out', 'old.mp4', '--json');
  expect(JSON.parse(refused.stdout)).toMatchObject({
    error: { code: 'OUTPUT_NOT_WRITABLE', hint: expect.stringContaining('--force') as string },
  });
  expect(refused.status).toBe(73);
  expect(await readFile(at('old.mp4'), 'utf8')).toBe('old');
  const { status, stdout } = await run(JOB, '--out', 'old.mp4', '--force', '--json');
  expect(JSON.parse(stdout)).toEqual({ jobId: JOB, output: at('old.mp4'), sizeBytes: 7 });
  expect(status).toBe(0);
  expect(await readFile(at('old.mp4'), 'utf8')).toBe('a video');
});

test('fetch works for a job whose trigger was removed', async () => {
  await putResult('job-without-trigger');
  expect((await run('job-without-trigger')).stdout).toBe(`${at('harbour.result.mp4')}\n`);
});

test('fetch reports a job that is unknown, has not finished, or failed', async () => {
  await putJob('job-waiting');
  await putJob('job-running');
  await putStatus('job-running', {});
  const error = { code: 'SOURCE_TRUNCATED', message: 'The video ends too early.', hint: 'Copy it again.' };
  await putStatus('job-failed', { state: 'failed', error });
  const [unknown, waiting, running, failed] = await Promise.all(
    ['job-unknown', 'job-waiting', 'job-running', 'job-failed'].map((job) => run(job, '--json')),
  );
  expect(JSON.parse(unknown?.stdout ?? '')).toMatchObject({ error: { code: 'JOB_UNKNOWN' } });
  expect(JSON.parse(waiting?.stdout ?? '')).toMatchObject({ error: { code: 'JOB_NOT_FINISHED' } });
  expect(JSON.parse(running?.stdout ?? '')).toMatchObject({
    error: { code: 'JOB_NOT_FINISHED', message: expect.stringContaining('41 of 100') as string },
  });
  expect(JSON.parse(failed?.stdout ?? '')).toEqual({ error });
  expect([unknown, waiting, running, failed].map((end) => end?.status)).toEqual([66, 69, 69, 65]);
  expect(await readdir(folder)).toEqual([]);
});

test('fetch rejects an invalid job id, and gives a hint if there is no fleet', async () => {
  expect(await run('../other')).toMatchObject({ status: 64, stdout: '' });
  const { status, stderr } = await fetchResult([JOB], { localFolder: at('fleet') }).end;
  expect(stderr).toContain('npm start');
  expect(status).toBe(69);
});

test('an interrupted enqueue reports that its job continues on a permanent fleet, and how to fetch the result', async () => {
  await ffmpeg([...picture({ seconds: 1 }), ...H264, at('clip.mp4')]);
  const command = enqueue([at('clip.mp4'), '--no-doctor'], {
    localFolder: at('fleet'),
    environment: { FRAMEFLEET_MEDIA_STORAGE: storage.connection.media },
  });
  await command.said('Press Ctrl-C to leave');
  command.child.kill('SIGINT');
  const { status, stderr } = await command.end;
  const [, jobId] = /The job (\S+) runs on the fleet/.exec(stderr) ?? [];
  expect(stderr).toContain(
    `Interrupted.\nThe job ${jobId} continues. Fetch its result with: npm run fetch -- ${jobId}`,
  );
  expect(status).toBe(130);
});

test('a job that no producer has accepted yet is shown with everything a job has, and has no result', async () => {
  const jobId = '20261123-061503-early-9f3a1c';
  await putJob(jobId);
  const { media, system } = storage.connection;
  const environment = { FRAMEFLEET_MEDIA_STORAGE: media, FRAMEFLEET_SYSTEM_STORAGE: system };
  const shown = await jobCommand(['status', jobId, '--json'], { localFolder: at('fleet'), environment }).end;
  expect(shown).toMatchObject({ status: 0 });
  expect(JSON.parse(shown.stdout)).toMatchObject({
    jobId,
    state: 'waiting',
    frames: { expected: 0, scored: 0, failed: 0, underway: 0 },
    updatedAt: '2026-11-23T06:15:02.000Z',
    warnings: [],
    error: null,
  });
  const fetched = await run(jobId);
  expect(fetched).toMatchObject({ status: 69, stdout: '' });
  expect(fetched.stderr).toContain('no producer has accepted it yet');
});
