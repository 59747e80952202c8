/** An engine or a worker is killed in the middle of a segment. All segments are the same, by their frames and by their hashes. */
import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { type BlobStore, openBlobStore } from '../../shared/azure/blob-store.ts';
import { PATIENT, storageAccount } from '../../shared/azure/credentials.ts';
import { framesOfSegment, splitPrefix, statusBlob } from '../../shared/contract/blob-names.ts';
import { segmentsOf } from '../../shared/contract/segment.ts';
import { systemClock } from '../../shared/runtime/clock.ts';
import { findStack } from '../../shared/runtime/rendezvous.ts';
import { firstSplit } from '../support/build-job.ts';
import { type RunningCommand, enqueue, startStackCommand } from '../support/commands.ts';
import { eventually } from '../support/eventually.ts';
import { inForm, printedSeed } from '../support/fault-form.ts';
import { H264, ffmpeg, picture } from '../support/media-clips.ts';
import { findProcess } from '../support/processes.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { testFolder } from '../support/servers.ts';

/** One batch of several segments, so that a killed worker has made progress. */
const FRAMES = 512;
const SEGMENTS = 4;
const POINTS = inForm({ short: 2, long: 10 });

let folder = '';
let localFolder = '';
let fleet: RunningCommand;
let blobs: BlobStore;
let undisturbed: Map<string, string>;
/** How long a segment takes, about. */
let segmentMs: number;

beforeAll(async () => {
  folder = await testFolder();
  localFolder = path.join(folder, 'fleet');
  await ffmpeg([
    ...picture({ size: '96x64', rate: '20', seconds: FRAMES / 20 }),
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
  const jobId = await submit();
  await segmentsStored(jobId, 1);
  const startedAtMs = systemClock.monotonicMs();
  await segmentsStored(jobId, SEGMENTS);
  segmentMs = (systemClock.monotonicMs() - startedAtMs) / (SEGMENTS - 1);
  undisturbed = await scoredBy(jobId);
});
afterAll(async () => {
  fleet.child.kill('SIGTERM');
  await fleet.end;
  await rm(folder, { recursive: true, force: true });
});

async function submit(): Promise<string> {
  const args = [path.join(folder, 'clip.mp4'), '--json', '--detach', '--batch', String(FRAMES)];
  const { stdout } = await enqueue(args, { localFolder }).end;
  return (JSON.parse(stdout) as { jobId: string }).jobId;
}

async function segmentNames(jobId: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of blobs.list('scored', { prefix: splitPrefix(firstSplit(jobId)) }))
    if (framesOfSegment(name) !== undefined) names.push(name);
  return names;
}

/** Waits until the job is completed. Returns the hash of each segment by its name, without the job. */
async function scoredBy(jobId: string): Promise<Map<string, string>> {
  await eventually('the job is completed', async () => {
    const status = String(await blobs.get('results', statusBlob(jobId)));
    expect(status).not.toContain('"failed",');
    return status.includes('"completed"');
  });
  const hashes = (await segmentNames(jobId)).map(async (name) => {
    const bytes = (await blobs.get('scored', name)) ?? '';
    return [name.slice(jobId.length), createHash('sha256').update(bytes).digest('hex')] as const;
  });
  return new Map(await Promise.all(hashes));
}

async function segmentsStored(jobId: string, count: number): Promise<void> {
  await eventually(`${count} segments are stored`, async () => (await segmentNames(jobId)).length >= count, {
    pollMsMax: 20,
  });
}

async function kill(commandPart: string): Promise<void> {
  const { pid } = await eventually('the process runs', () => findProcess(localFolder, commandPart));
  process.kill(pid, 'SIGKILL');
}

test('the segments of an undisturbed job hold all frames', () => {
  const frames = [...undisturbed.keys()].map((name) => framesOfSegment(name));
  expect(frames).toEqual(segmentsOf([0, FRAMES], FRAMES / SEGMENTS));
});

test.each([
  ['an engine', 'worker/engine/main.ts'],
  ['a worker', 'worker/main.ts'],
])(
  '%s killed in mid-batch loses no frame, and the job ends with the same segments',
  async (_name, commandPart) => {
    const jobId = await submit();
    await segmentsStored(jobId, 1);
    await kill(commandPart);
    expect((await segmentNames(jobId)).length).toBeLessThan(SEGMENTS);
    expect(await scoredBy(jobId)).toEqual(undisturbed);
  },
);

test(`a worker killed at ${POINTS} random points of a segment leaves the same bytes in the end`, async () => {
  const random = seededRandom(printedSeed('killed at work'));
  for (let point = 1; point <= POINTS; point += 1) {
    const jobId = await submit();
    const before = 1 + Math.floor(random() * (SEGMENTS - 1));
    await segmentsStored(jobId, before);
    const sinceMs = random() * segmentMs;
    await systemClock.sleep(sinceMs);
    await kill('worker/main.ts');
    const after = (await segmentNames(jobId)).length;
    process.stdout.write(
      `killed ${sinceMs.toFixed(0)} of ${segmentMs.toFixed(0)} ms after segment ${before}, stored: ${after}\n`,
    );
    expect(await scoredBy(jobId)).toEqual(undisturbed);
  }
});
