/** The output path fails while the job runs on a private fleet: the result is kept, and can be fetched. */
import { execFile } from 'node:child_process';
import { access, mkdir, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';

import { enqueue, fetchResult } from '../../support/commands.ts';
import { eventually } from '../../support/eventually.ts';
import { H264, ffmpeg, picture, pictureTimes } from '../../support/media-clips.ts';
import { findProcess, processesOf } from '../../support/processes.ts';
import { testFolder } from '../../support/servers.ts';

const FRAMES = 12;
const run = promisify(execFile);

let folder = '';
let localFolder = '';
const at = (name: string): string => path.join(folder, name);

beforeAll(async () => {
  folder = await testFolder();
  const clip = picture({ size: '64x48', rate: '12', seconds: FRAMES / 12 });
  await ffmpeg([...clip, ...H264, at('clip.mp4')]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(async () => {
  localFolder = path.join(await testFolder(), 'fleet');
});
afterEach(() => rm(path.dirname(localFolder), { recursive: true, force: true }));

async function nothingRuns(): Promise<void> {
  expect(await processesOf(localFolder)).toEqual([]);
  expect((await readdir(localFolder)).filter((name) => name.startsWith('run-'))).toEqual([]);
}

interface PrintedError {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly kept: string;
}

function errorIn(stdout: string): PrintedError {
  return (JSON.parse(stdout) as { error: PrintedError }).error;
}

/** The job id in the fetch command of a hint. */
function jobIn(hint: string): string {
  return /npm run fetch -- (\S+) --out PATH/.exec(hint)?.[1] ?? '';
}

test('enqueue keeps the result as a file if its folder is removed during the job, and fetch returns it', async () => {
  await mkdir(at('gone'));
  const args = [at('clip.mp4'), '--no-doctor', '--json', '--out', at('gone')];
  const job = enqueue(args, { localFolder });
  await eventually('a worker runs', () => findProcess(localFolder, 'worker/main.ts'));
  await rm(at('gone'), { recursive: true });
  const { status, stdout, stderr } = await job.end;
  expect({ status, stderr }).toEqual({ status: 73, stderr: '' });
  const { code, message, hint, kept } = errorIn(stdout);
  expect(code).toBe('OUTPUT_NOT_WRITABLE');
  expect(message).toContain(`${at('gone/clip.painter.mp4')}: the folder does not exist.`);
  expect(kept).toBe(path.join(localFolder, 'kept', jobIn(hint), 'clip.painter.mp4'));
  expect((await pictureTimes(kept)).seconds).toHaveLength(FRAMES);
  await nothingRuns();
  await expect(access(at('gone'))).rejects.toMatchObject({ code: 'ENOENT' });

  const fetched = await fetchResult([jobIn(hint), '--out', at('fetched.mp4')], { localFolder }).end;
  expect(fetched).toMatchObject({ status: 0, stdout: `${at('fetched.mp4')}\n` });
  expect((await pictureTimes(at('fetched.mp4'))).seconds).toHaveLength(FRAMES);
  await expect(access(kept)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('enqueue keeps the result in the storage of its fleet if there is no space for a copy, and fetch returns it', async () => {
  const job = enqueue([at('clip.mp4'), '--no-doctor', '--json', '--out', at('full.mp4')], { localFolder });
  await eventually('a worker runs', () => findProcess(localFolder, 'worker/main.ts'));
  // From now on, the command cannot write a file of more than 1000 bytes in any folder. The fleet can.
  await run('prlimit', ['--pid', String(job.child.pid), '--fsize=1000']);
  const { status, stdout, stderr } = await job.end;
  expect({ status, stderr }).toEqual({ status: 73, stderr: '' });
  const { message, hint, kept } = errorIn(stdout);
  expect(message).toContain(`${at('full.mp4')}: it is larger than the file size limit.`);
  expect(kept).toBe(path.join(localFolder, 'kept', jobIn(hint)));
  await nothingRuns();
  expect(await readdir(folder)).not.toContain('full.mp4');

  const fetched = await fetchResult([jobIn(hint), '--out', at('full.mp4')], { localFolder }).end;
  expect(fetched).toMatchObject({ status: 0, stdout: `${at('full.mp4')}\n` });
  expect((await pictureTimes(at('full.mp4'))).seconds).toHaveLength(FRAMES);
  await expect(access(kept)).rejects.toMatchObject({ code: 'ENOENT' });
  await nothingRuns();
});
