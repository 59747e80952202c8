/** Bare videos become jobs: each complete upload exactly once, with the settings of its sender. */
import { randomBytes } from 'node:crypto';

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { shareBlob, sourceBlob } from '../../../shared/contract/blob-names.ts';
import { DEFAULT_SETTINGS, type JobSettings } from '../../../shared/contract/job.ts';
import { type ShareAgreement, shareContainer } from '../../../shared/contract/share.ts';
import type { ShareContainer } from '../../../shared/contract/storage-layout.ts';
import { type IntakeFixture, startIntakeFixture } from '../../support/intake-fixture.ts';
import { KilledAfter } from '../../support/killed-after.ts';
import { blobCreatedEvent } from '../../support/upload-job.ts';

let fixture: IntakeFixture;

beforeAll(async () => {
  fixture = await startIntakeFixture();
});
afterAll(() => fixture[Symbol.asyncDispose]());
beforeEach(async () => {
  await fixture.control.redis.flushall();
  for await (const { name } of fixture.blobs.list('incoming', {}))
    await fixture.blobs.remove('incoming', name);
  for await (const { name } of fixture.blobs.list('control', {})) await fixture.blobs.remove('control', name);
});

const PARTNER_SETTINGS: JobSettings = {
  ...DEFAULT_SETTINGS,
  model: { name: 'upscaler' },
  parameters: { style: 'great-wave' },
  priority: 'low',
  failedFramesMax: { percent: 1 },
  spendingMax: 12.5,
};

async function openShare(partner: string, settings = PARTNER_SETTINGS): Promise<ShareContainer> {
  const container = shareContainer(partner);
  await fixture.media.getContainerClient(container).createIfNotExists();
  const createdAt = '2026-11-20T08:00:00.000Z';
  const agreement: ShareAgreement = { version: 1, partner, settings, createdAt, addressExpiresAt: createdAt };
  await fixture.blobs.put('control', shareBlob(partner), JSON.stringify(agreement));
  return container;
}

const sendEvent = (container: string, name: string): Promise<unknown> =>
  fixture.events.send(JSON.stringify(blobCreatedEvent(container, name)));
const openJobs = async () =>
  (await fixture.control.ledger.openJobs()).toSorted((a, b) => (a.jobId < b.jobId ? -1 : 1));
const namesIn = async (container: 'incoming' | ShareContainer, prefix = ''): Promise<string[]> =>
  (await Array.fromAsync(fixture.blobs.list(container, { prefix }))).map(({ name }) => name);

test('a bare video with three events and a scan on two producers becomes one job', async () => {
  const { blobs, events } = fixture;
  await blobs.put('incoming', 'drop/2026/Käse & Wein.mp4', 'the video');
  const uploaded = await blobs.stat('incoming', 'drop/2026/Käse & Wein.mp4');
  const event = blobCreatedEvent('incoming', 'drop/2026/Käse & Wein.mp4');
  const cloudEvent = { ...event, eventType: undefined, type: event['eventType'], specversion: '1.0' };
  for (const body of [event, cloudEvent, [event, cloudEvent]])
    await events.send(Buffer.from(JSON.stringify(body)).toString('base64'));
  const [mine, others] = [fixture.newIntake(), fixture.newIntake()];
  await Promise.all([fixture.scan(mine), fixture.scan(others)]);
  await fixture.scan(others);

  const jobs = await openJobs();
  expect(jobs).toHaveLength(1);
  const { jobId = '', definition } = jobs[0] ?? {};
  expect(jobId).toMatch(/^\d{8}-\d{6}-k-se-wein-[0-9a-f]{12}$/);
  const createdAt = uploaded?.lastModifiedAt.toISOString();
  expect(definition?.request).toMatchObject({
    ...DEFAULT_SETTINGS,
    source: { name: 'Käse & Wein.mp4', sizeBytes: 9 },
    createdAt,
  });
  expect(String(await blobs.get('incoming', sourceBlob(jobId, 'Käse & Wein.mp4')))).toBe('the video');
  expect(await namesIn('incoming', 'drop/')).toEqual([]);
  expect(await events.countApprox()).toBe(0);

  // A late event, after the job was opened and Redis was lost.
  await fixture.control.redis.flushall();
  await sendEvent('incoming', 'drop/2026/Käse & Wein.mp4');
  await fixture.scan();
  expect((await openJobs()).map((job) => job.jobId)).toEqual([jobId]);
});

test('a second upload under the same name is a second job, and duplicate events start nothing', async () => {
  const { blobs } = fixture;
  await blobs.put('incoming', 'drop/clip.mp4', 'monday');
  await fixture.scan();
  await blobs.put('incoming', 'drop/clip.mp4', 'tuesday');
  await sendEvent('incoming', 'drop/clip.mp4');
  await sendEvent('incoming', 'drop/clip.mp4');
  await fixture.scan();
  const jobs = await openJobs();
  const contents = jobs.map(async ({ jobId }) =>
    String(await blobs.get('incoming', sourceBlob(jobId, 'clip.mp4'))),
  );
  expect((await Promise.all(contents)).toSorted()).toEqual(['monday', 'tuesday']);
});

test('an incomplete upload starts nothing: uncommitted blocks, an empty file, an append blob', async () => {
  const { media, blobs } = fixture;
  const incoming = media.getContainerClient('incoming');
  const half = incoming.getBlockBlobClient('drop/half.mp4');
  const blockId = Buffer.from('1').toString('base64');
  await half.stageBlock(blockId, 'first half', 10);
  await incoming.getBlockBlobClient('drop/empty.mp4').upload('', 0);
  const growing = incoming.getAppendBlobClient('drop/growing.mp4');
  await growing.create();
  await growing.appendBlock('some', 4);
  for (const name of ['half', 'empty', 'growing']) await sendEvent('incoming', `drop/${name}.mp4`);
  await fixture.scan();
  expect(await openJobs()).toEqual([]);
  expect(await fixture.events.countApprox()).toBe(0);

  await half.commitBlockList([blockId]);
  await blobs.put('incoming', 'drop/empty.mp4', 'no longer');
  await fixture.scan();
  const names = (await openJobs()).map(({ definition }) => definition.request.source.name);
  expect(names.toSorted()).toEqual(['empty.mp4', 'half.mp4']);
});

test('another producer continues after a crash that follows the copy or the trigger', async () => {
  const { blobs, control } = fixture;
  await blobs.put('incoming', 'drop/clip.mp4', 'the video');
  const died = new Error('killed');
  const intake = fixture.newIntake({ put: () => Promise.reject(died) });
  await fixture.scan(intake);
  expect(await openJobs()).toEqual([]);
  const [copied = '', ...others] = (await namesIn('incoming')).filter((name) => !name.startsWith('drop/'));
  expect(others).toEqual([]);
  const copy = await blobs.stat('incoming', copied);

  await fixture.scan(fixture.newIntake({ remove: () => Promise.reject(died) }));
  const [job] = await openJobs();
  expect(copied).toBe(sourceBlob(job?.jobId ?? '', 'clip.mp4'));
  expect(await blobs.stat('incoming', copied)).toEqual(copy);
  expect(await namesIn('incoming', 'drop/')).toEqual(['drop/clip.mp4']);

  await control.redis.flushall();
  await fixture.scan();
  expect(await openJobs()).toHaveLength(1);
  expect(await namesIn('incoming', 'drop/')).toEqual([]);
  await fixture.scan();
  expect(await openJobs()).toHaveLength(1);
});

test('a video that is replaced while it is taken becomes one job with the new content', async () => {
  const { blobs } = fixture;
  await blobs.put('incoming', 'drop/clip.mp4', 'first');
  const intake = fixture.newIntake({
    copy: async (from, to) => {
      if (String(await blobs.get('incoming', 'drop/clip.mp4')) === 'first')
        await blobs.put('incoming', 'drop/clip.mp4', 'second');
      return blobs.copy(from, to);
    },
  });
  await fixture.scan(intake);
  expect(await openJobs()).toEqual([]);
  await fixture.scan(intake);
  const jobs = await openJobs();
  expect(jobs).toHaveLength(1);
  const jobId = jobs[0]?.jobId ?? '';
  expect(String(await blobs.get('incoming', sourceBlob(jobId, 'clip.mp4')))).toBe('second');
});

test('a video under a lease of its sender becomes one job and is ignored afterwards', async () => {
  const { blobs, media } = fixture;
  await blobs.put('incoming', 'drop/held.mp4', 'the video');
  const held = media.getContainerClient('incoming').getBlobClient('drop/held.mp4');
  await held.getBlobLeaseClient().acquireLease(-1);
  let statCalls = 0;
  const intake = fixture.newIntake({
    stat: (container, name) => {
      if (name === 'drop/held.mp4') statCalls += 1;
      return blobs.stat(container, name);
    },
  });
  for (let scans = 0; scans < 3; scans += 1) await fixture.scan(intake);
  expect(await openJobs()).toHaveLength(1);
  expect(statCalls).toBe(1);
  await held.getBlobLeaseClient().breakLease(0);
});

test('an upload to a partner’s container becomes a job with the partner’s settings; without an agreement it stays', async () => {
  const { blobs } = fixture;
  const acme = await openShare('acme');
  await fixture.media.getContainerClient('share-stranger').createIfNotExists();
  await blobs.put(acme, 'day 1/Harbour.mov', 'told');
  await blobs.put(acme, 'scanned.mov', 'found');
  await blobs.put('share-stranger', 'clip.mov', 'nothing is agreed');
  await sendEvent(acme, 'day 1/Harbour.mov');
  await sendEvent('share-stranger', 'clip.mov');
  await sendEvent('share-gone', 'clip.mov');
  await fixture.scan();
  const jobs = await openJobs();
  expect(jobs.map(({ jobId }) => jobId.replace(/^[\d-]+/, ''))).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/^acme-harbour-[0-9a-f]{12}$/),
      expect.stringMatching(/^acme-scanned-[0-9a-f]{12}$/),
    ]),
  );
  for (const { definition } of jobs) expect(definition.request).toMatchObject(PARTNER_SETTINGS);
  expect(await namesIn(acme)).toEqual([]);
  expect(await namesIn('share-stranger')).toEqual(['clip.mov']);
  expect(await fixture.events.countApprox()).toBe(0);
});

test('a share with a missing container or an unreadable agreement does not block other shares', async () => {
  const { blobs } = fixture;
  await openShare('aaa-gone');
  await fixture.media.deleteContainer('share-aaa-gone');
  const broken = await openShare('broken');
  await blobs.put('control', shareBlob('broken'), '{"version":1,"partner":"acme"}');
  await blobs.put(broken, 'clip.mov', 'x');
  const well = await openShare('well');
  await blobs.put(well, 'clip.mov', 'y');
  await fixture.scan();
  expect((await openJobs()).map(({ jobId }) => jobId.slice(16, -13))).toEqual(['well-clip']);
  expect(await namesIn(broken)).toEqual(['clip.mov']);
});

test('a partner with very many files does not block other partners', async () => {
  const { blobs } = fixture;
  const eager = await openShare('eager');
  const modest = await openShare('modest');
  await Promise.all(
    Array.from({ length: 130 }, (_, index) => blobs.put(eager, `${String(index).padStart(3, '0')}.mp4`, 'x')),
  );
  await blobs.put(modest, 'clip.mp4', 'y');
  await fixture.scan();
  const ids = (await openJobs()).map(({ jobId }) => jobId);
  expect(ids.filter((jobId) => jobId.includes('modest-clip'))).toHaveLength(1);
  expect(ids.filter((jobId) => jobId.includes('eager'))).toHaveLength(100);
  await fixture.scan();
  expect(await openJobs()).toHaveLength(131);
});

test('a blob name that cannot be addressed is checked once and hides no other blobs', async () => {
  // The SDK turns backslashes into slashes, and a URL that contains `..` addresses another blob.
  await fixture.blobs.put('incoming', 'drop/a\\..\\b.mp4', 'x');
  let statCalls = 0;
  const intake = fixture.newIntake({
    stat: (container, name) => {
      if (name.includes('..')) statCalls += 1;
      return fixture.blobs.stat(container, name);
    },
  });
  for (let scans = 0; scans < 3; scans += 1) await fixture.scan(intake);
  expect(await namesIn('incoming')).toEqual(['drop/a/../b.mp4']);
  expect(statCalls).toBe(1);
  await fixture.blobs.put('incoming', 'drop/clip.mp4', 'y');
  await fixture.scan(intake);
  expect(await openJobs()).toHaveLength(1);
  // Only the original spelling addresses the blob.
  await fixture.blobs.remove('incoming', 'drop/a\\..\\b.mp4');
  expect(await namesIn('incoming', 'drop/')).toEqual([]);
});

test.each([
  ['a reserved name', 'drop/job.json'],
  ['a folder marker with content', 'drop/folder/'],
  ['a name with special characters for paths and terminals', 'drop/..a:"b"|<c>?#%2e\u202e4pm.*'],
  ['a name of dots only', 'drop/...'],
  ['a very long name', `drop/${'ü'.repeat(500)}.mp4`],
])('%s is stored inside the folder of its job', async (_, name) => {
  const body = randomBytes(8).toString('hex');
  await fixture.blobs.put('incoming', name, body);
  await fixture.scan();
  const [job] = await openJobs();
  const { jobId = '', definition } = job ?? {};
  const there = await namesIn('incoming');
  expect(there).toHaveLength(2);
  expect(there.every((one) => one.startsWith(`${jobId}/`))).toBe(true);
  const source = sourceBlob(jobId, definition?.request.source.name ?? '');
  expect(String(await fixture.blobs.get('incoming', source))).toBe(body);
});

/** Calls with side effects: copy, trigger, removal, two on the ledger, step, and event. */
const CHANGES = 7;

// Must be the last test: it leaves leased events behind for a minute.
test('a producer that is killed after any of its calls leaves one job, which another producer opens', async () => {
  const { blobs, control } = fixture;
  let kills = 0;
  for (let killAt = 1; killAt <= CHANGES; killAt += 1) {
    const name = `drop/killed-${killAt}.mp4`;
    await blobs.put('incoming', name, `video ${killAt}`);
    await sendEvent('incoming', name);
    const killed = new KilledAfter(killAt);
    await fixture
      .newKilledIntake(killed)
      .pass()
      .catch(() => undefined);
    if (killed.isKilled) kills += 1;
    await fixture.scan();
    const jobs = (await openJobs()).filter(({ jobId }) => jobId.includes(`-killed-${killAt}-`));
    expect(jobs).toHaveLength(1);
    const jobId = jobs[0]?.jobId ?? '';
    expect(String(await blobs.get('incoming', sourceBlob(jobId, `killed-${killAt}.mp4`)))).toBe(
      `video ${killAt}`,
    );
    expect(await namesIn('incoming', 'drop/')).toEqual([]);
    expect(await control.ledger.job(jobId)).toMatchObject({ state: 'waiting' });
  }
  expect(kills).toBe(CHANGES);
});
