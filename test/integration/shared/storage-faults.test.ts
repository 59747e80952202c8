/** Each storage call with one fault: its result, and the number of tries. */
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

/** The try time-out tolerates a busy machine, and is short enough for tests that wait for it. */
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
const BYTES = Buffer.from('the bytes of a frame');

/** The operation is not carried out, and the try fails. */
const BEFORE: readonly Fault[] = [{ kind: 'stall' }, { kind: 'reset' }, { kind: 'busy' }];
/** The operation is carried out, but the caller receives no response. */
const AFTER: readonly Fault[] = [{ kind: 'lose-answer' }, { kind: 'stall-body' }, { kind: 'reset-body' }];

let storage: TestStorage;
let proxy: StorageProxy;
let blobs: BlobStore;
/** The same queue, without the proxy and through it. */
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

/** Runs the call with the fault on the first such operation. Returns the result and the number of tries. */
async function callWithFault<T>(
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

async function receiveOne(): Promise<ReceivedMessage> {
  await direct.queue.send(TEXT);
  return mustReceive(direct.queue, LONG);
}

const fulfilled = (value: unknown) => ({ status: 'fulfilled', value });
const leaseLost = { status: 'rejected', reason: expect.any(LeaseLostError) };

test('the proxy passes on calls unchanged without faults', async () => {
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

test.each([...BEFORE, ...AFTER])('a get with the fault $kind succeeds at the second try', async (fault) => {
  await storage.blobs.put('scored', NAME, BYTES);
  const { result, tries } = await callWithFault(fault, 'get', () => blobs.get('scored', NAME));
  expect(result).toEqual(fulfilled(BYTES));
  expect(tries).toBe(2);
});

describe('when the first try was not carried out', () => {
  test.each(BEFORE)('a put with the fault $kind creates the blob at the second try', async (fault) => {
    const { result, tries } = await callWithFault(fault, 'put', () =>
      blobs.put('scored', NAME, BYTES, { onlyIfAbsent: true }),
    );
    expect(result).toEqual(fulfilled('created'));
    expect(await storage.blobs.get('scored', NAME)).toEqual(BYTES);
    expect(tries).toBe(2);
  });

  test.each(BEFORE)('a send with the fault $kind sends one message', async (fault) => {
    const { result, tries } = await callWithFault(fault, 'send', () => queue.send(TEXT));
    expect(result.status).toBe('fulfilled');
    expect(await direct.queue.countApprox()).toBe(1);
    expect(tries).toBe(2);
  });

  test.each(BEFORE)(
    'a receive with the fault $kind receives the message with a dequeue count of 1',
    async (fault) => {
      await direct.queue.send(TEXT);
      const { result, tries } = await callWithFault(fault, 'receive', () => queue.receive(LONG));
      expect(result).toMatchObject(fulfilled({ text: TEXT, dequeueCount: 1 }));
      expect(tries).toBe(2);
    },
  );

  test.each(BEFORE)('an update with the fault $kind renews the lease', async (fault) => {
    const message = await receiveOne();
    const { result, tries } = await callWithFault(fault, 'update', () => queue.update(message, LONG));
    expect(result).toEqual(fulfilled(expect.any(String)));
    expect(result).not.toEqual(fulfilled(message.popReceipt));
    expect(tries).toBe(2);
  });

  test.each(BEFORE)('a removal with the fault $kind removes the message', async (fault) => {
    const message = await receiveOne();
    const { result, tries } = await callWithFault(fault, 'remove', () => queue.remove(message));
    expect(result.status).toBe('fulfilled');
    expect(await direct.queue.countApprox()).toBe(0);
    expect(tries).toBe(2);
  });
});

describe('when the first try was carried out', () => {
  test.each(AFTER)('a put with the fault $kind finds its own blob at the second try', async (fault) => {
    const { result, tries } = await callWithFault(fault, 'put', () =>
      blobs.put('scored', NAME, BYTES, { onlyIfAbsent: true }),
    );
    expect(result).toEqual(fulfilled('exists'));
    expect(await storage.blobs.get('scored', NAME)).toEqual(BYTES);
    expect(tries).toBe(2);
  });

  test.each(AFTER)('a send with the fault $kind sends two messages, which is harmless', async (fault) => {
    const { result, tries } = await callWithFault(fault, 'send', () => queue.send(TEXT));
    expect(result.status).toBe('fulfilled');
    expect(await direct.queue.countApprox()).toBe(2);
    expect(tries).toBe(2);
  });

  test.each(AFTER)(
    'a receive with the fault $kind misses the message, which becomes visible again',
    async (fault) => {
      await direct.queue.send(TEXT);
      const { result, tries } = await callWithFault(fault, 'receive', () => queue.receive(SHORT));
      const again =
        result.status === 'fulfilled' && result.value !== undefined
          ? result.value
          : await eventually('the message is visible again', () => queue.receive(LONG));
      expect(again).toMatchObject({ text: TEXT, dequeueCount: 2 });
      expect(tries).toBe(2);
    },
  );

  test.each(AFTER)('an update with the fault $kind rejects with LeaseLostError', async (fault) => {
    const message = await receiveOne();
    const { result, tries } = await callWithFault(fault, 'update', () => queue.update(message, LONG));
    expect(result).toEqual(leaseLost);
    expect(result).toMatchObject({ reason: { cause: { statusCode: 400, code: 'PopReceiptMismatch' } } });
    expect(await direct.queue.countApprox()).toBe(1);
    expect(tries).toBe(2);
  });

  test.each(AFTER)(
    'a removal with the fault $kind removes the message and rejects with LeaseLostError',
    async (fault) => {
      const message = await receiveOne();
      const { result, tries } = await callWithFault(fault, 'remove', () => queue.remove(message));
      expect(result).toEqual(leaseLost);
      expect(result).toMatchObject({ reason: { cause: { statusCode: 404 } } });
      expect(await direct.queue.countApprox()).toBe(0);
      expect(tries).toBe(2);
    },
  );
});

test('a delayed response needs one try', async () => {
  await storage.blobs.put('scored', NAME, BYTES);
  const { result, tries } = await callWithFault({ kind: 'delay', delayMs: 300 }, 'get', () =>
    blobs.get('scored', NAME),
  );
  expect(result).toEqual(fulfilled(BYTES));
  expect(tries).toBe(1);
});
