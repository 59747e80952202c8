/** A partner uploads a video with only an address, and a local fleet runs the job. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { type BlobStore, openBlobStore } from '../../../shared/azure/blob-store.ts';
import { PATIENT, storageAccount } from '../../../shared/azure/credentials.ts';
import { findReadyStack } from '../../../shared/command/local-stack.ts';
import { jobReport, jobRequest, jobStatus } from '../../../shared/contract/job.ts';
import { type RunningCommand, share, startStackCommand } from '../../support/commands.ts';
import { eventually } from '../../support/eventually.ts';
import { H264, ffmpeg, picture } from '../../support/media-clips.ts';
import { testFolder } from '../../support/servers.ts';

let folder = '';
let localFolder = '';
let fleet: RunningCommand;
let blobs: BlobStore;
let video: Buffer;

beforeAll(async () => {
  folder = await testFolder();
  localFolder = path.join(folder, 'fleet');
  const clip = path.join(folder, 'clip.mp4');
  await ffmpeg([...picture({ rate: '10' }), ...H264, clip]);
  video = await readFile(clip);
  // Disk space for one job at a time.
  const environment = { FRAMEFLEET_CAPACITY_MAX: '1', FRAMEFLEET_WORK_BYTES_MAX: String(3 * video.length) };
  fleet = startStackCommand({ localFolder, environment });
  await fleet.said('The local fleet is running');
  const found = await findReadyStack(localFolder);
  const account = (name: string) => storageAccount(found?.[`FRAMEFLEET_${name}_STORAGE`] ?? '');
  blobs = await openBlobStore({ media: account('MEDIA'), system: account('SYSTEM') }, PATIENT);
});
afterAll(async () => {
  fleet.child.kill('SIGTERM');
  await fleet.end;
  await rm(folder, { recursive: true, force: true });
});

const parsed = async <T>(
  schema: { parse(value: unknown): T },
  container: 'incoming' | 'results',
  name: string,
) => schema.parse(JSON.parse(String(await blobs.get(container, name))));

async function jobIdLike(pattern: RegExp): Promise<string> {
  let found = '';
  await eventually(`there is a job like ${pattern.source}`, async () => {
    for await (const { name } of blobs.list('incoming', {}))
      if (name.endsWith('/job.json') && pattern.test(name)) found = name.replace('/job.json', '');
    return found !== '';
  });
  return found;
}
async function ended(jobId: string): Promise<void> {
  await eventually(`${jobId} has ended`, async () => {
    const bytes = await blobs.get('results', `${jobId}/status.json`);
    return bytes !== undefined && /"state": "(?:completed|failed)"/.test(String(bytes));
  });
}

test('a partner upload becomes a job with the settings of the share, and a dropped file one with the defaults', async () => {
  const opened = await share(['open', 'acme', '--style', 'great-wave', '--priority', 'high'], { localFolder })
    .end;
  expect(opened.status).toBe(0);
  const address = new URL(opened.stdout.trim());
  const sent = await fetch(`${address.origin}${address.pathname}/Take%201.mp4${address.search}`, {
    method: 'PUT',
    headers: { 'x-ms-blob-type': 'BlockBlob' },
    body: new Uint8Array(video),
  });
  expect(sent.status).toBe(201);
  await writeFile(path.join(folder, 'dropped.mp4'), video);
  await blobs.putFile('incoming', 'drop/dropped.mp4', path.join(folder, 'dropped.mp4'));

  const partners = await jobIdLike(/-acme-take-1-[0-9a-f]{12}\/job\.json$/);
  const dropped = await jobIdLike(/-dropped-[0-9a-f]{12}\/job\.json$/);
  await Promise.all([ended(partners), ended(dropped)]);
  expect(await parsed(jobRequest, 'incoming', `${partners}/job.json`)).toMatchObject({
    parameters: { style: 'great-wave' },
    priority: 'high',
  });
  for (const jobId of [partners, dropped]) {
    const status = await parsed(jobStatus, 'results', `${jobId}/status.json`);
    expect(status).toMatchObject({ state: 'completed', frames: { expected: 10, scored: 10, failed: 0 } });
    expect((await blobs.stat('results', status.result?.blobName ?? ''))?.sizeBytes).toBe(
      status.result?.sizeBytes,
    );
  }
  const [theirs, ours] = await Promise.all(
    [partners, dropped].map((jobId) => parsed(jobReport, 'results', `${jobId}/report.json`)),
  );
  expect(theirs?.parameters).toEqual({ style: 'great-wave' });
  expect(ours?.parameters).toEqual({});
  expect(theirs?.resultSha256).not.toBe(ours?.resultSha256);

  expect((await share(['list'], { localFolder }).end).stdout).toMatch(/^acme .* 0$/m);
  expect((await share(['close', 'acme'], { localFolder }).end).status).toBe(0);
});

test('jobs that do not fit on the disk together run one after the other', async () => {
  const names = ['one', 'two', 'three'];
  await Promise.all(names.map((name) => blobs.put('incoming', `drop/${name}.mp4`, video)));
  const jobIds = await Promise.all(
    names.map((name) => jobIdLike(new RegExp(`-${name}-[0-9a-f]{12}/job\\.json$`))),
  );
  await Promise.all(jobIds.map(ended));
  for (const jobId of jobIds)
    expect(await parsed(jobStatus, 'results', `${jobId}/status.json`)).toMatchObject({ state: 'completed' });
});

test('a file that is not a video becomes a failed job', async () => {
  await blobs.put('incoming', 'drop/notes.txt', 'remember the milk');
  const jobId = await jobIdLike(/-notes-[0-9a-f]{12}\/job\.json$/);
  await ended(jobId);
  expect(await parsed(jobStatus, 'results', `${jobId}/status.json`)).toMatchObject({
    state: 'failed',
    error: { code: 'SOURCE_NOT_VIDEO' },
  });
});
