/** An engine or a worker is killed in the middle of a batch. The scored frames are the same, by count and by hash. */
import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { type BlobStore, openBlobStore } from '../../shared/azure/blob-store.ts';
import { PATIENT, storageAccount } from '../../shared/azure/credentials.ts';
import { findStack } from '../../shared/runtime/rendezvous.ts';
import { type RunningCommand, enqueue, startStackCommand } from '../support/commands.ts';
import { eventually } from '../support/eventually.ts';
import { H264, ffmpeg, picture } from '../support/media-clips.ts';
import { findProcess } from '../support/processes.ts';
import { testFolder } from '../support/servers.ts';

const FRAMES = 40;
const BATCH = 20;

let folder = '';
let localFolder = '';
let fleet: RunningCommand;
let blobs: BlobStore;
let undisturbed: Map<string, string>;

beforeAll(async () => {
  folder = await testFolder();
  localFolder = path.join(folder, 'fleet');
  await ffmpeg([
    ...picture({ size: '320x180', rate: '20', seconds: FRAMES / 20 }),
    ...H264,
    path.join(folder, 'clip.mp4'),
  ]);
  fleet = startStackCommand({
    localFolder,
    environment: { FRAMEFLEET_CAPACITY_MAX: '1', FRAMEFLEET_LEASE_SECONDS: '6' },
  });
  await fleet.said('The local fleet is running');
  const card = await findStack(localFolder);
  const media = storageAccount(card?.environment['FRAMEFLEET_MEDIA_STORAGE'] ?? '');
  blobs = await openBlobStore({ media, system: null }, PATIENT);
  undisturbed = await scoredBy(await submit());
});
afterAll(async () => {
  fleet.child.kill('SIGTERM');
  await fleet.end;
  await rm(folder, { recursive: true, force: true });
});

async function submit(): Promise<string> {
  const args = [path.join(folder, 'clip.mp4'), '--json', '--detach', '--batch', String(BATCH)];
  const { stdout } = await enqueue(args, { localFolder }).end;
  return (JSON.parse(stdout) as { jobId: string }).jobId;
}

async function scoredNames(jobId: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of blobs.list('scored', { prefix: `${jobId}/` })) names.push(name);
  return names;
}

/** Waits until the job is completed. Returns the hash of each scored frame by its file name. */
async function scoredBy(jobId: string): Promise<Map<string, string>> {
  await eventually('the job is completed', async () => {
    const status = String(await blobs.get('results', `${jobId}/status.json`));
    expect(status).not.toContain('"failed",');
    return status.includes('"completed"');
  });
  const names = await scoredNames(jobId);
  const hashes = names.map(async (name) => {
    const bytes = (await blobs.get('scored', name)) ?? '';
    return [path.basename(name), createHash('sha256').update(bytes).digest('hex')] as const;
  });
  return new Map(await Promise.all(hashes));
}

async function inMidBatch(jobId: string): Promise<void> {
  await eventually(
    'some frames of the first batch are scored, but not all',
    async () => {
      const { length } = await scoredNames(jobId);
      if (length >= BATCH) throw new Error('the batch ended before a process could be killed');
      return length > 0;
    },
    { pollMsMax: 20 },
  );
}

async function kill(commandPart: string): Promise<void> {
  const found = await findProcess(localFolder, commandPart);
  if (found === undefined) throw new Error(`expected a process of ${commandPart}`);
  process.kill(found.pid, 'SIGKILL');
}

test.each([
  ['an engine', 'worker/engine/main.ts'],
  ['a worker', 'worker/main.ts'],
])(
  '%s killed in mid-batch loses no frame, and the job ends with the same frames',
  async (_name, commandPart) => {
    const jobId = await submit();
    await inMidBatch(jobId);
    await kill(commandPart);
    const scored = await scoredBy(jobId);
    expect(scored.size).toBe(FRAMES);
    expect(scored).toEqual(undisturbed);
  },
);
