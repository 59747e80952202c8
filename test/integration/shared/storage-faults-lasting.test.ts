/** Storage calls under lasting or random faults and with Retry-After: they are bounded and spaced, and lose nothing. */
import { createHash, randomBytes } from 'node:crypto';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
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

/** The time-out tolerates a busy machine: only injected faults reach it. */
const POLICY: RetryPolicy = {
  tries: 3,
  tryTimeoutMs: 4_000,
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

/** Injects the fault into the first `times` operations of this kind. */
function inject(fault: Fault, operation: StorageOperation, times = Infinity): void {
  let left = times;
  proxy.faults = (request) => {
    if (request.operation !== operation || left <= 0) return undefined;
    left -= 1;
    return fault;
  };
}

/** Milliseconds between consecutive requests of this kind. */
function gapsMs(operation: StorageOperation): number[] {
  const times = proxy.requests.of(operation).map(({ atMs }) => atMs);
  return times.slice(1).map((atMs, index) => atMs - (times[index] ?? 0));
}

test.each<[Fault, object]>([
  [{ kind: 'reset' }, { code: 'ECONNRESET' }],
  [{ kind: 'reset-body' }, { code: 'ECONNRESET' }],
  [{ kind: 'lose-answer' }, { code: 'ECONNRESET' }],
  [{ kind: 'busy' }, { statusCode: 503, code: 'ServerBusy' }],
])('a get with the lasting fault %o fails after its tries, with waits between them', async (fault, error) => {
  inject(fault, 'get');
  await expect(blobs.get('scored', NAME)).rejects.toMatchObject(error);
  expect(proxy.requests.total).toBe(POLICY.tries);
  for (const gapMs of gapsMs('get')) expect(gapMs).toBeGreaterThanOrEqual(POLICY.delayMs - 1);
});

test.each<Fault>([{ kind: 'stall' }, { kind: 'stall-body' }])(
  'a get with the lasting fault $kind fails after its tries with STORAGE_UNAVAILABLE',
  async (fault) => {
    const hasty = await openBlobStore(proxy.accounts, { ...POLICY, tryTimeoutMs: 300 });
    inject(fault, 'get');
    const startedAtMs = systemClock.monotonicMs();
    await expect(hasty.get('scored', NAME)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    expect(proxy.requests.total).toBe(POLICY.tries);
    // Timers may fire a millisecond early.
    const [tried, waited] = [POLICY.tries * (300 - 1), (POLICY.tries - 1) * (POLICY.delayMs - 1)];
    expect(systemClock.monotonicMs() - startedAtMs).toBeGreaterThanOrEqual(tried + waited);
  },
);

test('queue calls fail after their tries with the error of a queue that stays busy', async () => {
  for (const [operation, call] of [
    ['receive', () => queue.receive(LONG)],
    ['update', () => queue.update({ messageId: 'm', popReceipt: 'r', text: TEXT }, LONG)],
    ['remove', () => queue.remove({ messageId: 'm', popReceipt: 'r' })],
    ['send', () => queue.send(TEXT)],
    ['metadata', () => queue.countApprox()],
  ] as const) {
    proxy.requests.clear();
    inject({ kind: 'busy' }, operation);
    await expect(call()).rejects.toMatchObject({ statusCode: 503, code: 'ServerBusy' });
    expect(proxy.requests.total).toBe(POLICY.tries);
  }
});

test('a call with a permanent error is not retried', async () => {
  await expect(queue.remove({ messageId: 'unknown', popReceipt: 'r' })).rejects.toThrow('lost');
  expect(await blobs.get('scored', 'nothing/here.jpg')).toBeUndefined();
  expect(await blobs.put('scored', NAME, 'late', { onlyIfAbsent: true })).toBe('exists');
  expect(proxy.requests.total).toBe(3);
});

test('a retry waits for the second that Retry-After requests', async () => {
  inject({ kind: 'busy', retryAfterSeconds: 1 }, 'receive', 1);
  await queue.receive(LONG);
  const [gapMs] = gapsMs('receive');
  expect(proxy.requests.total).toBe(2);
  expect(gapMs).toBeGreaterThanOrEqual(1_000);
});

test('a call fails at once if Retry-After exceeds its time', async () => {
  inject({ kind: 'busy', retryAfterSeconds: 60 }, 'get');
  const startedAtMs = systemClock.monotonicMs();
  await expect(blobs.get('scored', NAME)).rejects.toMatchObject({ statusCode: 503 });
  expect(systemClock.monotonicMs() - startedAtMs).toBeLessThan(60_000);
  expect(proxy.requests.total).toBe(1);
});

test.each<[string, Fault]>([
  ['while it waits for a response', { kind: 'stall' }],
  ['while it receives a body', { kind: 'stall-body' }],
  ['between two tries', { kind: 'busy', retryAfterSeconds: 10 }],
])('a call aborted %s rejects with the reason and sends no more requests', async (_when, fault) => {
  inject(fault, 'get');
  const stopping = new AbortController();
  const call = blobs.get('scored', NAME, { signal: stopping.signal });
  await eventually('the first request arrives', () => proxy.requests.total === 1);
  stopping.abort(new Error('the service is stopping'));
  await expect(call).rejects.toThrow('the service is stopping');
  expect(proxy.requests.total).toBe(1);
});

test('a call rejects when its time is over, even during a try', async () => {
  const hasty = await openBlobStore(proxy.accounts, { ...POLICY, callTimeoutMs: 500 });
  inject({ kind: 'stall' }, 'stat');
  await expect(hasty.stat('scored', NAME)).rejects.toMatchObject({
    code: 'STORAGE_UNAVAILABLE',
    message: 'Storage did not respond within 500 ms.',
  });
  expect(proxy.requests.total).toBe(1);
});

test.each<Fault>([{ kind: 'stall' }, { kind: 'reset' }, { kind: 'lose-answer' }, { kind: 'busy' }])(
  'an upload of a file with the fault $kind is sent again from the start',
  async (fault) => {
    const [source, bytes] = [path.join(folder, 'source'), randomBytes(3_000_000)];
    await writeFile(source, bytes);
    inject(fault, 'put', 1);
    await blobs.putFile('incoming', 'job-1/a.mp4', source);
    const stored = await storage.blobs.get('incoming', 'job-1/a.mp4');
    expect(sha256(stored ?? Buffer.alloc(0))).toBe(sha256(bytes));
    expect(proxy.requests.count('put')).toBe(2);
  },
);

test('an upload of a file may exceed the time of a call as long as bytes move', async () => {
  const [source, bytes] = [path.join(folder, 'long'), randomBytes(30_000_000)];
  await writeFile(source, bytes);
  // The try time-out tolerates a busy machine. The upload takes three times as long as a call may take.
  const hasty = await openBlobStore(proxy.accounts, {
    ...POLICY,
    tryTimeoutMs: 60_000,
    callTimeoutMs: 2_000,
  });
  inject({ kind: 'slow', bytesPerSecond: 5_000_000 }, 'put');
  await hasty.putFile('incoming', 'job-1/long.mp4', source);
  expect(proxy.requests.count('put')).toBe(1);
  expect(await storage.blobs.stat('incoming', 'job-1/long.mp4')).toMatchObject({ sizeBytes: bytes.length });
});

test('an upload of an unreadable file fails without a retry', async () => {
  await expect(blobs.putFile('incoming', 'job-1/folder.mp4', folder)).rejects.toMatchObject({
    code: 'EISDIR',
  });
  expect(proxy.requests.total).toBeLessThanOrEqual(1);
});

test.each<Fault>([{ kind: 'stall-body' }, { kind: 'reset-body' }])(
  'a download of a large file with the fault $kind resumes where it broke off',
  async (fault) => {
    const [copy, bytes] = [path.join(folder, 'copy'), randomBytes(36 * 1024 * 1024)];
    await storage.blobs.put('incoming', 'job-1/large.mp4', bytes);
    inject(fault, 'get', 1);
    await blobs.getFile('incoming', 'job-1/large.mp4', copy);
    expect(sha256(await readFile(copy))).toBe(sha256(bytes));
    expect(proxy.requests.count('get')).toBe(2);
  },
);

test('an aborted download of a large file rejects even if it has stalled', async () => {
  await storage.blobs.put('incoming', 'job-1/large.mp4', Buffer.alloc(36 * 1024 * 1024));
  inject({ kind: 'stall-body' }, 'get');
  const stopping = new AbortController();
  const target = path.join(folder, 'stopped');
  const call = blobs.getFile('incoming', 'job-1/large.mp4', target, { signal: stopping.signal });
  await eventually(
    'the first bytes arrive',
    async () => (await stat(target).catch(() => undefined))?.size ?? 0,
  );
  stopping.abort();
  await expect(call).rejects.toThrow(/abort/i);
});

test.each([1, 2])('random faults lose no output and no message: seed %i', async (seed) => {
  const patient = { ...POLICY, tries: 8, callTimeoutMs: 120_000, delayMs: 10, delayMaxMs: 40 };
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
