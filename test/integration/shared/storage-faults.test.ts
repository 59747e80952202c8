/** One fault of storage to each call of ours: what comes out, and what it costs. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { type BlobStore, openBlobStore } from '../../../shared/azure/blob-store.ts';
import type { RetryPolicy } from '../../../shared/azure/retry-policy.ts';
import {
  LeaseLostError,
  type ReceivedMessage,
  type WorkQueue,
  openWorkQueue,
} from '../../../shared/azure/work-queue.ts';
import type { QueueName } from '../../../shared/contract/storage-layout.ts';
import { eventually } from '../../support/eventually.ts';
import { type TestStorage, startTestStorage } from '../../support/servers.ts';
import { type Fault, type StorageProxy, startStorageProxy } from '../../support/storage-proxy.ts';
import type { StorageOperation } from '../../support/storage-request.ts';
import { type TestQueue, mustReceive, openTestQueue } from '../../support/test-queue.ts';

/** Long enough for a machine whose cores are shared, short enough for a test that waits for it. */
const POLICY: RetryPolicy = {
  tries: 3,
  tryTimeoutMs: 1_000,
  delayMs: 20,
  delayMaxMs: 80,
  callTimeoutMs: 20_000,
};
const SHORT = { visibilityTimeoutSeconds: 1 };
const LONG = { visibilityTimeoutSeconds: 600 };
const TEXT = 'bWVzc2FnZQ==';
const NAME = 'job-1/00000000.jpg';
const BYTES = Buffer.from('a frame, or what stands for one');

/** Nothing is carried out; the try fails. */
const BEFORE: readonly Fault[] = [{ kind: 'stall' }, { kind: 'reset' }, { kind: 'busy' }];
/** What was asked is carried out; the caller does not hear of it. */
const AFTER: readonly Fault[] = [{ kind: 'lose-answer' }, { kind: 'stall-body' }, { kind: 'reset-body' }];

let storage: TestStorage;
let proxy: StorageProxy;
let blobs: BlobStore;
/** The same queue twice: as it is, and behind the proxy. */
let direct: TestQueue;
let queue: WorkQueue;

beforeAll(async () => {
  storage = await startTestStorage();
  proxy = await startStorageProxy(storage);
  blobs = await openBlobStore(proxy.accounts, POLICY);
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await storage[Symbol.asyncDispose]();
});

const QUEUE: QueueName = 'frame-batches';
beforeEach(async () => {
  proxy.faults = () => undefined;
  direct = await openTestQueue(storage, QUEUE);
  queue = await openWorkQueue(proxy.accounts.system, QUEUE, POLICY, POLICY);
  await storage.blobs.remove('scored', NAME);
});

/** The first of these operations meets the fault; returns how many there were when the call is over. */
async function once<T>(
  fault: Fault,
  operation: StorageOperation,
  call: () => Promise<T>,
): Promise<{ readonly result: PromiseSettledResult<T>; readonly tries: number }> {
  let isDue = true;
  proxy.faults = (request) => {
    if (request.operation !== operation || !isDue) return undefined;
    isDue = false;
    return fault;
  };
  proxy.requests.clear();
  const [result] = await Promise.allSettled([call()]);
  return { result, tries: proxy.requests.count(operation) };
}

async function received(): Promise<ReceivedMessage> {
  await direct.queue.send(TEXT);
  return mustReceive(direct.queue, LONG);
}

const fulfilled = (value: unknown) => ({ status: 'fulfilled', value });
const leaseLost = { status: 'rejected', reason: expect.any(LeaseLostError) };

test('without faults the proxy is not noticed', async () => {
  expect(await blobs.put('scored', NAME, BYTES)).toBe('created');
  expect(await blobs.get('scored', NAME)).toEqual(BYTES);
  await queue.send(TEXT);
  const message = await mustReceive(queue, LONG);
  const popReceipt = await queue.update(message, LONG);
  expect(await queue.countApprox()).toBe(1);
  await queue.remove({ ...message, popReceipt });
  expect(await queue.countApprox()).toBe(0);
  expect(proxy.requests.count('update', { messageId: message.messageId })).toBe(1);
  expect(proxy.requests.count('metadata')).toBe(2);
});

test.each([...BEFORE, ...AFTER])(
  'a get that meets $kind gets the bytes with its second try',
  async (fault) => {
    await storage.blobs.put('scored', NAME, BYTES);
    const { result, tries } = await once(fault, 'get', () => blobs.get('scored', NAME));
    expect(result).toEqual(fulfilled(BYTES));
    expect(tries).toBe(2);
  },
);

describe('what was not carried out is carried out by the second try', () => {
  test.each(BEFORE)('a put that meets $kind creates', async (fault) => {
    const { result, tries } = await once(fault, 'put', () =>
      blobs.put('scored', NAME, BYTES, { onlyIfAbsent: true }),
    );
    expect(result).toEqual(fulfilled('created'));
    expect(await storage.blobs.get('scored', NAME)).toEqual(BYTES);
    expect(tries).toBe(2);
  });

  test.each(BEFORE)('a send that meets $kind sends one message', async (fault) => {
    const { result, tries } = await once(fault, 'send', () => queue.send(TEXT));
    expect(result.status).toBe('fulfilled');
    expect(await direct.queue.countApprox()).toBe(1);
    expect(tries).toBe(2);
  });

  test.each(BEFORE)(
    'a receive that meets $kind receives, and no delivery is counted twice',
    async (fault) => {
      await direct.queue.send(TEXT);
      const { result, tries } = await once(fault, 'receive', () => queue.receive(LONG));
      expect(result).toMatchObject(fulfilled({ text: TEXT, dequeueCount: 1 }));
      expect(tries).toBe(2);
    },
  );

  test.each(BEFORE)('an update that meets $kind renews', async (fault) => {
    const message = await received();
    const { result, tries } = await once(fault, 'update', () => queue.update(message, LONG));
    expect(result).toEqual(fulfilled(expect.any(String)));
    expect(result).not.toEqual(fulfilled(message.popReceipt));
    expect(tries).toBe(2);
  });

  test.each(BEFORE)('a removal that meets $kind removes', async (fault) => {
    const message = await received();
    const { result, tries } = await once(fault, 'remove', () => queue.remove(message));
    expect(result.status).toBe('fulfilled');
    expect(await direct.queue.countApprox()).toBe(0);
    expect(tries).toBe(2);
  });
});

describe('what was carried out is found done by the second try', () => {
  test.each(AFTER)('a put that meets $kind finds its own output there', async (fault) => {
    const { result, tries } = await once(fault, 'put', () =>
      blobs.put('scored', NAME, BYTES, { onlyIfAbsent: true }),
    );
    expect(result).toEqual(fulfilled('exists'));
    expect(await storage.blobs.get('scored', NAME)).toEqual(BYTES);
    expect(tries).toBe(2);
  });

  test.each(AFTER)('a send that meets $kind sends two: a batch worked twice is harmless', async (fault) => {
    const { result, tries } = await once(fault, 'send', () => queue.send(TEXT));
    expect(result.status).toBe('fulfilled');
    expect(await direct.queue.countApprox()).toBe(2);
    expect(tries).toBe(2);
  });

  test.each(AFTER)('a receive that meets $kind sees nothing, and the message comes back', async (fault) => {
    await direct.queue.send(TEXT);
    const { result, tries } = await once(fault, 'receive', () => queue.receive(SHORT));
    const again =
      result.status === 'fulfilled' && result.value !== undefined
        ? result.value
        : await eventually('the message comes back', () => queue.receive(LONG));
    expect(again).toMatchObject({ text: TEXT, dequeueCount: 2 });
    expect(tries).toBe(2);
  });

  test.each(AFTER)('an update that meets $kind has lost its receipt, and says so', async (fault) => {
    const message = await received();
    const { result, tries } = await once(fault, 'update', () => queue.update(message, LONG));
    expect(result).toEqual(leaseLost);
    expect(result).toMatchObject({ reason: { cause: { statusCode: 400, code: 'PopReceiptMismatch' } } });
    expect(await direct.queue.countApprox()).toBe(1);
    expect(tries).toBe(2);
  });

  test.each(AFTER)('a removal that meets $kind has removed, and no longer owns it', async (fault) => {
    const message = await received();
    const { result, tries } = await once(fault, 'remove', () => queue.remove(message));
    expect(result).toEqual(leaseLost);
    expect(result).toMatchObject({ reason: { cause: { statusCode: 404 } } });
    expect(await direct.queue.countApprox()).toBe(0);
    expect(tries).toBe(2);
  });
});

test('an answer that is only late costs nothing', async () => {
  await storage.blobs.put('scored', NAME, BYTES);
  const { result, tries } = await once({ kind: 'delay', delayMs: 300 }, 'get', () =>
    blobs.get('scored', NAME),
  );
  expect(result).toEqual(fulfilled(BYTES));
  expect(tries).toBe(1);
});
