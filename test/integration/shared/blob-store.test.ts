import { createHash, randomBytes } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import type { BlobStore } from '../../../shared/azure/blob-store.ts';
import { PATIENT } from '../../../shared/azure/credentials.ts';
import type { BlobInfo } from '../../../shared/azure/list-blobs.ts';
import { type TestStorage, startTestStorage, testFolder } from '../../support/servers.ts';

let storage: TestStorage;
let blobs: BlobStore;
let folder: string;

beforeAll(async () => {
  folder = await testFolder();
  storage = await startTestStorage();
  blobs = storage.blobs;
});
afterAll(async () => {
  await storage[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const namesOf = async (found: AsyncIterable<BlobInfo>): Promise<string[]> =>
  (await Array.fromAsync(found)).map(({ name }) => name);

test('a missing blob is undefined, and removing it has no effect', async () => {
  expect(await blobs.get('scored', 'nothing/here.jpg')).toBeUndefined();
  expect(await blobs.stat('scored', 'nothing/here.jpg')).toBeUndefined();
  await blobs.remove('scored', 'nothing/here.jpg');
  await expect(blobs.getFile('scored', 'nothing/here.jpg', path.join(folder, 'nothing'))).rejects.toThrow(
    expect.objectContaining({ statusCode: 404 }),
  );
});

test('a second put with onlyIfAbsent changes nothing', async () => {
  const name = 'job-1/00000000.jpg';
  expect(await blobs.put('scored', name, 'first', { onlyIfAbsent: true })).toBe('created');
  const before = await blobs.stat('scored', name);
  expect(await blobs.put('scored', name, 'late and longer', { onlyIfAbsent: true })).toBe('exists');
  expect(String(await blobs.get('scored', name))).toBe('first');
  expect(await blobs.stat('scored', name)).toEqual(before);
});

test('one of several concurrent puts with onlyIfAbsent creates the blob', async () => {
  const name = 'job-1/00000001.jpg';
  const bodies = Array.from({ length: 12 }, (_, index) => `by ${index}`);
  const outcomes = await Promise.all(
    bodies.map((body) => blobs.put('scored', name, body, { onlyIfAbsent: true })),
  );
  expect(outcomes.filter((outcome) => outcome === 'created')).toHaveLength(1);
  expect(String(await blobs.get('scored', name))).toBe(bodies[outcomes.indexOf('created')]);
});

test('replace writes only over the version that the caller knows', async () => {
  const name = 'job-1/replaced.json';
  const replace = (text: string, onlyIfEtag: string | null) =>
    blobs.replace('results', name, text, { contentType: 'application/json', onlyIfEtag });
  const first = await replace('first', null);
  expect(await blobs.getVersion('results', name)).toEqual({ bytes: Buffer.from('first'), etag: first });
  expect(await replace('late', null)).toBeUndefined();
  const second = await replace('second', first ?? '');
  expect(second).not.toBe(first);
  expect(await replace('late', first ?? '')).toBeUndefined();
  expect(await blobs.getVersion('results', name)).toEqual({ bytes: Buffer.from('second'), etag: second });
  await blobs.remove('results', name);
  expect(await replace('late', second ?? '')).toBeUndefined();
  expect(await blobs.getVersion('results', name)).toBeUndefined();
});

test('a plain put replaces the blob and changes its etag', async () => {
  await blobs.put('results', 'job-1/status.json', '{}');
  const before = await blobs.stat('results', 'job-1/status.json');
  expect(await blobs.put('results', 'job-1/status.json', '{"a":1}')).toBe('created');
  const after = await blobs.stat('results', 'job-1/status.json');
  expect(String(await blobs.get('results', 'job-1/status.json'))).toBe('{"a":1}');
  expect(after?.sizeBytes).toBe(7);
  expect(after?.etag).not.toBe(before?.etag);
});

test('binary and empty blobs are returned unchanged', async () => {
  const bytes = randomBytes(4096);
  await blobs.put('pieces', 'job-1/bytes.nut', bytes);
  await blobs.put('pieces', 'job-1/empty.nut', '');
  expect(await blobs.get('pieces', 'job-1/bytes.nut')).toEqual(bytes);
  expect(await blobs.get('pieces', 'job-1/empty.nut')).toEqual(Buffer.alloc(0));
});

test('putFile and getFile transfer 10 MB, and putFile returns the etag', async () => {
  const [source, copy] = [path.join(folder, 'source'), path.join(folder, 'copy')];
  const bytes = randomBytes(10_000_000);
  await writeFile(source, bytes);
  const etag = await blobs.putFile('incoming', 'job-1/a.mp4', source);
  await blobs.getFile('incoming', 'job-1/a.mp4', copy);

  expect(sha256(await readFile(copy))).toBe(sha256(bytes));
  expect(await blobs.stat('incoming', 'job-1/a.mp4')).toMatchObject({ etag, sizeBytes: bytes.length });
});

test('a transfer with an aborted signal rejects and stores nothing', async () => {
  const source = path.join(folder, 'stopped');
  await writeFile(source, randomBytes(1_000_000));
  const signal = AbortSignal.abort();
  await expect(blobs.putFile('incoming', 'job-1/stopped.mp4', source, { signal })).rejects.toThrow(
    expect.objectContaining({ name: 'AbortError' }),
  );
  expect(await blobs.stat('incoming', 'job-1/stopped.mp4')).toBeUndefined();
});

test('list returns the blobs with the prefix, ascending by name', async () => {
  const numbers = Array.from({ length: 50 }, (_, index) => String(index * 7919).padStart(8, '0'));
  const names = numbers.map((number) => `job-2/${number}.nut`);
  await Promise.all(
    [...names.toReversed(), 'job-20/00000000.nut', 'job-1x/a'].map((name) => blobs.put('pieces', name, name)),
  );

  expect(await namesOf(blobs.list('pieces', { prefix: 'job-2/' }))).toEqual(names);
  expect(await namesOf(blobs.list('pieces', { prefix: 'job-2/0000' }))).toEqual(
    names.filter((name) => name.startsWith('job-2/0000')),
  );
  expect(await namesOf(blobs.list('pieces', { prefix: 'job-3/' }))).toEqual([]);
  const [first] = await Array.fromAsync(blobs.list('pieces', { prefix: 'job-2/' }));
  const stat = await blobs.stat('pieces', names[0] ?? '');
  expect(first).toMatchObject({ sizeBytes: names[0]?.length, lastModifiedAt: stat?.lastModifiedAt });
});

test('list returns metadata only if withMetadata is set', async () => {
  const metadata = { beat: JSON.stringify({ state: 'idle', at: '2026-11-23T06:15:02Z' }) };
  await blobs.put('workers', 'vm-0', '', { metadata });
  const [withMetadata] = await Array.fromAsync(blobs.list('workers', { withMetadata: true }));
  const [plain] = await Array.fromAsync(blobs.list('workers', {}));
  expect(withMetadata).toMatchObject({ name: 'vm-0', sizeBytes: 0, metadata });
  expect(plain).toMatchObject({ name: 'vm-0', metadata: {} });
  expect(await blobs.stat('workers', 'vm-0')).toMatchObject({ metadata });
});

test('listFolders returns each top-level folder once', async () => {
  for (const name of ['job-a/job.json', 'job-a/a.mp4', 'job-b/deep/down', 'bare.mp4'])
    await blobs.put('logs', name, '');
  expect(await Array.fromAsync(blobs.listFolders('logs'))).toEqual(['job-a', 'job-b']);
});

test('blob names may contain any script and special characters', async () => {
  const names = [
    'my holiday video.mp4',
    '100% sure%20really.mp4',
    'Übergrößenträger – ça ira.mp4',
    '東京🎬.mp4',
    '"quoted" & \'single\' <tag>.mp4',
    'a+b=c;d,e@f$g!h(i)[j]{k}~^`.mp4',
    'hash#query?.mp4',
  ].map((name) => `job-names/${name}`);
  for (const name of names) await blobs.put('incoming', name, name);

  expect((await namesOf(blobs.list('incoming', { prefix: 'job-names/' }))).toSorted()).toEqual(
    names.toSorted(),
  );
  for (const name of names) {
    expect(String(await blobs.get('incoming', name))).toBe(name);
    expect(await blobs.stat('incoming', name)).toMatchObject({ sizeBytes: Buffer.byteLength(name) });
    expect(await namesOf(blobs.list('incoming', { prefix: name }))).toEqual([name]);
    await blobs.remove('incoming', name);
  }
  expect(await namesOf(blobs.list('incoming', { prefix: 'job-names/' }))).toEqual([]);
});

test('copy creates the target once and never changes it', async () => {
  await blobs.put('incoming', 'drop/clip.mp4', 'the video', { metadata: { from: 'uploader' } });
  const etag = (await blobs.stat('incoming', 'drop/clip.mp4'))?.etag ?? '';
  const from = { container: 'incoming', name: 'drop/clip.mp4', etag } as const;
  const to = { container: 'incoming', name: 'job-copy/clip.mp4' } as const;
  const first = await blobs.copy(from, to);
  const copied = await blobs.stat('incoming', to.name);
  expect(copied).toMatchObject({ sizeBytes: 9, isComplete: true });
  expect(first).toEqual({ kind: 'copied', etag: copied?.etag });
  expect(await blobs.copy(from, to)).toEqual(first);
  expect(await blobs.stat('incoming', to.name)).toEqual(copied);
  expect(String(await blobs.get('incoming', to.name))).toBe('the video');
});

test('copy reports a source that has changed or is gone, and copies nothing', async () => {
  await blobs.put('incoming', 'drop/other.mp4', 'first');
  const { etag = '' } = (await blobs.stat('incoming', 'drop/other.mp4')) ?? {};
  await blobs.put('incoming', 'drop/other.mp4', 'second');
  const to = { container: 'incoming', name: 'job-other/clip.mp4' } as const;
  expect(await blobs.copy({ container: 'incoming', name: 'drop/other.mp4', etag }, to)).toEqual({
    kind: 'changed',
  });
  expect(await blobs.copy({ container: 'incoming', name: 'drop/nowhere.mp4', etag }, to)).toEqual({
    kind: 'changed',
  });
  expect(await blobs.stat('incoming', to.name)).toBeUndefined();
});

test('remove also removes the snapshots of a blob', async () => {
  await blobs.put('incoming', 'drop/kept.mp4', 'x');
  const media = await storage.accounts.media.blobs(PATIENT);
  await media.getContainerClient('incoming').getBlobClient('drop/kept.mp4').createSnapshot();
  await blobs.remove('incoming', 'drop/kept.mp4');
  expect(await blobs.stat('incoming', 'drop/kept.mp4')).toBeUndefined();
});
