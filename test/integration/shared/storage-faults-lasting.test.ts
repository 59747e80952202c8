/** Storage that stays bad, asks for time, or fails at random: calls are bounded, spaced, and lose nothing. */
import { createHash, randomBytes } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { type BlobStore, openBlobStore } from '../../../shared/azure/blob-store.ts';
import type { RetryPolicy } from '../../../shared/azure/retry-policy.ts';
import { type WorkQueue, openWorkQueue } from '../../../shared/azure/work-queue.ts';
import { systemClock } from '../../../shared/runtime/clock.ts';
import { eventually } from '../../support/eventually.ts';
import { type TestStorage, startTestStorage, testFolder } from '../../support/servers.ts';
import {
  type Fault,
  type StorageProxy,
  seededFaults,
  startStorageProxy,
} from '../../support/storage-proxy.ts';
import type { StorageOperation } from '../../support/storage-request.ts';
import { mustReceive, openTestQueue } from '../../support/test-queue.ts';

const POLICY: RetryPolicy = {
  tries: 3,
  tryTimeoutMs: 1_000,
  delayMs: 50,
  delayMaxMs: 200,
  callTimeoutMs: 20_000,
};
const LONG = { visibilityTimeoutSeconds: 600 };
const TEXT = 'bWVzc2FnZQ==';
const NAME = 'job-1/00000000.jpg';

let folder: string;
let storage: TestStorage;
let proxy: StorageProxy;
let blobs: BlobStore;
let queue: WorkQueue;

beforeAll(async () => {
  folder = await testFolder();
  storage = await startTestStorage();
  proxy = await startStorageProxy(storage);
  blobs = await openBlobStore(proxy.accounts, POLICY);
  queue = await openWorkQueue(proxy.accounts.system, 'frame-batches', POLICY, POLICY);
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await storage[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  await storage.blobs.put('scored', NAME, 'frame');
  proxy.faults = () => undefined;
  proxy.requests.clear();
});

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** The first `times` of these operations meet the fault. */
function meet(fault: Fault, operation: StorageOperation, times = Infinity): void {
  let left = times;
  proxy.faults = (request) => {
    if (request.operation !== operation || left <= 0) return undefined;
    left -= 1;
    return fault;
  };
}

/** Milliseconds from each of these requests to the next. */
function gapsMs(operation: StorageOperation): number[] {
  const times = proxy.requests.of(operation).map(({ atMs }) => atMs);
  return times.slice(1).map((atMs, index) => atMs - (times[index] ?? 0));
}

test.each<[Fault, object]>([
  [{ kind: 'reset' }, { code: 'ECONNRESET' }],
  [{ kind: 'reset-body' }, { code: 'ECONNRESET' }],
  [{ kind: 'lose-answer' }, { code: 'ECONNRESET' }],
  [{ kind: 'busy' }, { statusCode: 503, code: 'ServerBusy' }],
])('a get that always meets %o fails after its tries, and they are spaced', async (fault, error) => {
  meet(fault, 'get');
  await expect(blobs.get('scored', NAME)).rejects.toMatchObject(error);
  expect(proxy.requests.total).toBe(POLICY.tries);
  for (const gapMs of gapsMs('get')) expect(gapMs).toBeGreaterThanOrEqual(POLICY.delayMs - 1);
});

test.each<Fault>([{ kind: 'stall' }, { kind: 'stall-body' }])(
  'a get that always meets $kind fails after its tries, and says that nothing was heard',
  async (fault) => {
    const hasty = await openBlobStore(proxy.accounts, { ...POLICY, tryTimeoutMs: 300 });
    meet(fault, 'get');
    await expect(hasty.get('scored', NAME)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    expect(proxy.requests.total).toBe(POLICY.tries);
    for (const gapMs of gapsMs('get')) expect(gapMs).toBeGreaterThanOrEqual(300 + POLICY.delayMs - 2);
  },
);

test('a queue that is always busy fails after its tries, with its own answer', async () => {
  for (const [operation, call] of [
    ['receive', () => queue.receive(LONG)],
    ['update', () => queue.update({ messageId: 'm', popReceipt: 'r', text: TEXT }, LONG)],
    ['remove', () => queue.remove({ messageId: 'm', popReceipt: 'r' })],
    ['send', () => queue.send(TEXT)],
    ['metadata', () => queue.countApprox()],
  ] as const) {
    proxy.requests.clear();
    meet({ kind: 'busy' }, operation);
    await expect(call()).rejects.toMatchObject({ statusCode: 503, code: 'ServerBusy' });
    expect(proxy.requests.total).toBe(POLICY.tries);
  }
});

test('what is refused is asked once', async () => {
  await expect(queue.remove({ messageId: 'nobody', popReceipt: 'r' })).rejects.toThrow('lost');
  expect(await blobs.get('scored', 'nothing/here.jpg')).toBeUndefined();
  expect(await blobs.put('scored', NAME, 'late', { onlyIfAbsent: true })).toBe('exists');
  expect(proxy.requests.total).toBe(3);
});

test('a service that asks for a second is left alone for a second', async () => {
  meet({ kind: 'busy', retryAfterSeconds: 1 }, 'receive', 1);
  await queue.receive(LONG);
  const [gapMs] = gapsMs('receive');
  expect(proxy.requests.total).toBe(2);
  expect(gapMs).toBeGreaterThanOrEqual(1_000);
  expect(gapMs).toBeLessThan(3_000);
});

test('a service that asks for more time than a call has is not asked again, and the call ends at once', async () => {
  meet({ kind: 'busy', retryAfterSeconds: 60 }, 'get');
  const startedAtMs = systemClock.monotonicMs();
  await expect(blobs.get('scored', NAME)).rejects.toMatchObject({ statusCode: 503 });
  expect(systemClock.monotonicMs() - startedAtMs).toBeLessThan(2_000);
  expect(proxy.requests.total).toBe(1);
});

test.each<[string, Fault]>([
  ['while nothing is heard', { kind: 'stall' }],
  ['while half an answer is', { kind: 'stall-body' }],
  ['between two tries', { kind: 'busy', retryAfterSeconds: 10 }],
])('an aborted call ends %s, with the reason, and asks no more', async (_when, fault) => {
  meet(fault, 'get');
  const stopping = new AbortController();
  const call = blobs.get('scored', NAME, { signal: stopping.signal });
  await eventually('it was asked', () => proxy.requests.total === 1);
  stopping.abort(new Error('the service is stopping'));
  await expect(call).rejects.toThrow('the service is stopping');
  expect(proxy.requests.total).toBe(1);
});

test('a call whose time is over says so, in mid-try', async () => {
  const hasty = await openBlobStore(proxy.accounts, { ...POLICY, callTimeoutMs: 500 });
  meet({ kind: 'stall' }, 'stat');
  await expect(hasty.stat('scored', NAME)).rejects.toMatchObject({
    code: 'STORAGE_UNAVAILABLE',
    message: 'Storage did not respond within 500 ms.',
  });
  expect(proxy.requests.total).toBe(1);
});

test.each<Fault>([{ kind: 'stall' }, { kind: 'reset' }, { kind: 'lose-answer' }, { kind: 'busy' }])(
  'a file whose upload meets $kind is sent again from its start',
  async (fault) => {
    const [source, bytes] = [path.join(folder, 'source'), randomBytes(3_000_000)];
    await writeFile(source, bytes);
    meet(fault, 'put', 1);
    const sent: number[] = [];
    await blobs.putFile('incoming', 'job-1/a.mp4', source, { onProgress: (count) => sent.push(count) });
    expect(sent.at(-1)).toBe(bytes.length);
    const stored = await storage.blobs.get('incoming', 'job-1/a.mp4');
    expect(sha256(stored ?? Buffer.alloc(0))).toBe(sha256(bytes));
    expect(proxy.requests.count('put')).toBe(2);
  },
);

test('a file that takes far longer than a small call may is sent once, as long as it moves', async () => {
  const [source, bytes] = [path.join(folder, 'long'), randomBytes(30_000_000)];
  await writeFile(source, bytes);
  // A busy machine is not taken for a silent one; the file takes three times as long as a call may.
  const hasty = await openBlobStore(proxy.accounts, {
    ...POLICY,
    tryTimeoutMs: 60_000,
    callTimeoutMs: 2_000,
  });
  meet({ kind: 'slow', bytesPerSecond: 5_000_000 }, 'put');
  await hasty.putFile('incoming', 'job-1/long.mp4', source);
  expect(proxy.requests.count('put')).toBe(1);
  expect(await storage.blobs.stat('incoming', 'job-1/long.mp4')).toMatchObject({ sizeBytes: bytes.length });
});

test('a file that cannot be read fails the upload, and nothing is sent again', async () => {
  await expect(blobs.putFile('incoming', 'job-1/folder.mp4', folder)).rejects.toMatchObject({
    code: 'EISDIR',
  });
  expect(proxy.requests.total).toBeLessThanOrEqual(1);
});

test.each<Fault>([{ kind: 'stall-body' }, { kind: 'reset-body' }])(
  'a large file whose download meets $kind goes on where it broke off',
  async (fault) => {
    const [copy, bytes] = [path.join(folder, 'copy'), randomBytes(36 * 1024 * 1024)];
    await storage.blobs.put('incoming', 'job-1/large.mp4', bytes);
    meet(fault, 'get', 1);
    await blobs.getFile('incoming', 'job-1/large.mp4', copy);
    expect(sha256(await readFile(copy))).toBe(sha256(bytes));
    expect(proxy.requests.count('get')).toBe(2);
  },
);

test('a download of a large file stops when it is told to, though nothing more comes', async () => {
  await storage.blobs.put('incoming', 'job-1/large.mp4', Buffer.alloc(36 * 1024 * 1024));
  meet({ kind: 'stall-body' }, 'get');
  const stopping = new AbortController();
  let isUnderWay = false;
  const call = blobs.getFile('incoming', 'job-1/large.mp4', path.join(folder, 'stopped'), {
    signal: stopping.signal,
    onProgress: () => (isUnderWay = true),
  });
  await eventually('the first of it came', () => isUnderWay);
  stopping.abort();
  await expect(call).rejects.toThrow(/abort/i);
});

test.each([1, 2])('a bad minute loses no output and no message: seed %i', async (seed) => {
  const patient = { ...POLICY, tries: 8, tryTimeoutMs: 600, delayMs: 10, delayMaxMs: 40 };
  const store = await openBlobStore(proxy.accounts, patient);
  const sender = await openWorkQueue(proxy.accounts.system, 'frame-batches', patient, patient);
  const { queue: direct } = await openTestQueue(storage, 'frame-batches');
  const kinds: Fault[] = [
    { kind: 'stall' },
    { kind: 'stall-body' },
    { kind: 'reset' },
    { kind: 'reset-body' },
    { kind: 'lose-answer' },
    { kind: 'busy' },
    { kind: 'delay', delayMs: 50 },
  ];
  proxy.faults = seededFaults({ seed, rate: 0.3, kinds });
  const names = Array.from(
    { length: 30 },
    (_, index) => `bad-minute-${seed}/${String(index).padStart(8, '0')}.jpg`,
  );
  await Promise.all(
    names.map(async (name) => {
      await store.put('scored', name, name, { onlyIfAbsent: true });
      expect(String(await store.get('scored', name))).toBe(name);
      await sender.send(Buffer.from(name).toString('base64'));
    }),
  );
  proxy.faults = () => undefined;
  const texts = new Set<string>();
  while (texts.size < names.length) texts.add((await mustReceive(direct, LONG)).text);
  expect([...texts].map((text) => String(Buffer.from(text, 'base64'))).toSorted()).toEqual(names);
});
