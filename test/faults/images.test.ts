/** Photos of mixed sizes and orientations go through the fleet while workers are killed. Each has its result, by name and by hash. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';

import pLimit from 'p-limit';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { type BlobStore, openBlobStore } from '../../shared/azure/blob-store.ts';
import { PATIENT, storageAccount } from '../../shared/azure/credentials.ts';
import { framesOfSegment, splitPrefix } from '../../shared/contract/blob-names.ts';
import { findStack } from '../../shared/runtime/rendezvous.ts';
import { firstSplit } from '../support/build-job.ts';
import { type RunningCommand, enqueue, fetchResult, startStackCommand } from '../support/commands.ts';
import { eventually } from '../support/eventually.ts';
import { inForm, printedSeed } from '../support/fault-form.ts';
import { writeIdentityModel } from '../support/identity-model.ts';
import { findProcess } from '../support/processes.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { testFolder } from '../support/servers.ts';

const PHOTOS = inForm({ short: 100, long: 500 });
const KILLS = 2;
const MADE_AT_ONCE = 4;

let folder = '';
let fleet: RunningCommand;
let blobs: BlobStore;
const at = (...names: readonly string[]): string => path.join(folder, ...names);
const names = Array.from(
  { length: PHOTOS },
  (_, index) => `photo ${index}.${index % 3 === 0 ? 'png' : 'jpg'}`,
);

beforeAll(async () => {
  folder = await testFolder();
  await mkdir(at('photos'));
  const random = seededRandom(printedSeed('images'));
  const limit = pLimit(MADE_AT_ONCE);
  await Promise.all(
    names.map((name) => {
      const side = (): number => 16 + Math.floor(random() * 800);
      const [width, height, orientation] = [side(), side(), 1 + Math.floor(random() * 8)];
      const level = (): number => Math.floor(random() * 256);
      const background = { r: level(), g: level(), b: level() };
      return limit(async () => {
        await sharp({ create: { width, height, channels: 3, background } })
          .withMetadata({ orientation })
          .toFile(at('photos', name));
      });
    }),
  );
  await writeIdentityModel(at('models'));
  fleet = startStackCommand({
    localFolder: at('fleet'),
    environment: {
      FRAMEFLEET_CAPACITY_MAX: '2',
      FRAMEFLEET_LEASE_SECONDS: '6',
      FRAMEFLEET_LOCAL_MODELS: at('models'),
    },
  });
  await fleet.said('The local fleet is running');
  const card = await findStack(at('fleet'));
  const media = storageAccount(card?.environment['FRAMEFLEET_MEDIA_STORAGE'] ?? '');
  blobs = await openBlobStore({ media, system: null }, PATIENT);
});
afterAll(async () => {
  fleet.child.kill('SIGTERM');
  await fleet.end;
  await rm(folder, { recursive: true, force: true });
});

async function submit(): Promise<string> {
  const args = [at('photos'), '--model', 'identity', '--json', '--detach', '--batch', '20'];
  const { stdout } = await enqueue(args, { localFolder: at('fleet') }).end;
  return (JSON.parse(stdout) as { jobId: string }).jobId;
}

async function countStored(jobId: string): Promise<number> {
  let count = 0;
  for await (const { name } of blobs.list('scored', { prefix: splitPrefix(firstSplit(jobId)) }))
    if (framesOfSegment(name) !== undefined) count += 1;
  return count;
}

/** Waits for the result. Returns the hash of each image by its name. */
async function resultsOf(jobId: string): Promise<Map<string, string>> {
  const out = at(jobId);
  await eventually('the results are fetched', async () => {
    const { status, stderr } = await fetchResult([jobId, '--out', out], { localFolder: at('fleet') }).end;
    if (status !== 0 && !stderr.includes('has not finished')) throw new Error(stderr);
    return status === 0;
  });
  const hashes = names.map(async (name) => {
    const hash = createHash('sha256')
      .update(await readFile(path.join(out, name)))
      .digest('hex');
    return [name, hash] as const;
  });
  return new Map(await Promise.all(hashes));
}

test(`${PHOTOS} photos have ${PHOTOS} results, the same ones with ${KILLS} killed workers`, async () => {
  const undisturbed = await resultsOf(await submit());
  expect(undisturbed.size).toBe(PHOTOS);
  const jobId = await submit();
  for (let kill = 1; kill <= KILLS; kill += 1) {
    const enough = (kill * PHOTOS) / (KILLS + 2);
    await eventually('some are stored', async () => (await countStored(jobId)) >= enough, { pollMsMax: 20 });
    const { pid } = await eventually('a worker runs', () => findProcess(at('fleet'), 'worker/main.ts'));
    process.kill(pid, 'SIGKILL');
  }
  expect(await resultsOf(jobId)).toEqual(undisturbed);
  for (const name of names) {
    const [before, after] = [
      await sharp(at('photos', name)).metadata(),
      await sharp(at(jobId, name)).metadata(),
    ];
    const { width, height } = before.autoOrient;
    expect([name, after.width, after.height, after.orientation ?? 1]).toEqual([name, width, height, 1]);
  }
});
