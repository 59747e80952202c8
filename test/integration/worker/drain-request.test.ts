import { afterAll, beforeAll, expect, test, vi } from 'vitest';

import { openBlobStore } from '../../../shared/azure/blob-store.ts';
import { BRISK } from '../../../shared/azure/credentials.ts';
import { drainBlob } from '../../../shared/contract/blob-names.ts';
import { createLog } from '../../../shared/runtime/log.ts';
import { findDrainRequest } from '../../../worker/host/drain-request.ts';
import { type TestStorage, startTestStorage } from '../../support/servers.ts';
import { silentLog as log } from '../../support/silent-log.ts';

let storage: TestStorage;

beforeAll(async () => {
  storage = await startTestStorage();
});
afterAll(async () => {
  await storage[Symbol.asyncDispose]();
});

const find = (vmId: string) => findDrainRequest({ blobs: storage.blobs, vmId, log });
const requestDrain = (vmId: string) => storage.blobs.put('control', drainBlob(vmId), '');

test('an instance has no drain request if only another instance has one', async () => {
  await requestDrain('vm-10');
  expect(await find('vm-1')).toBeNull();
});

test('a request is found by its etag, which stays the same', async () => {
  await requestDrain('vm-2');
  const stored = await storage.blobs.stat('control', 'drain/vm-2');
  expect(stored?.etag).toMatch(/.+/);
  expect(await find('vm-2')).toBe(stored?.etag);
  expect(await find('vm-2')).toBe(stored?.etag);
});

test('a repeated request has another etag, and a removed request is gone', async () => {
  await requestDrain('vm-3');
  const first = await find('vm-3');
  await requestDrain('vm-3');
  const second = await find('vm-3');
  expect(second).toEqual(expect.any(String));
  expect(second).not.toBe(first);
  await storage.blobs.remove('control', drainBlob('vm-3'));
  expect(await find('vm-3')).toBeNull();
});

test('no request is found if storage does not answer, and that is logged', async () => {
  const gone = await startTestStorage();
  const blobs = await openBlobStore(gone.accounts, { ...BRISK, tries: 1, callTimeoutMs: 2_000 });
  await blobs.put('control', drainBlob('vm-4'), '');
  expect(await findDrainRequest({ blobs, vmId: 'vm-4', log })).toEqual(expect.any(String));
  await gone[Symbol.asyncDispose]();
  const spied = createLog({ room: 'test', level: 'silent' });
  const warn = vi.spyOn(spied, 'warn');
  expect(await findDrainRequest({ blobs, vmId: 'vm-4', log: spied })).toBeNull();
  expect(warn).toHaveBeenCalledExactlyOnceWith(
    { vmId: 'vm-4', error: expect.any(Error) as Error },
    'drain request check failed',
  );
});

test('no request is found if the check is aborted, and nothing is logged', async () => {
  const spied = createLog({ room: 'test', level: 'silent' });
  const warn = vi.spyOn(spied, 'warn');
  await requestDrain('vm-5');
  const signal = AbortSignal.abort();
  expect(await findDrainRequest({ blobs: storage.blobs, vmId: 'vm-5', log: spied, signal })).toBeNull();
  expect(warn).not.toHaveBeenCalled();
});

test('a VM id that is not a plain name throws', async () => {
  await expect(find('../jobs/job-1')).rejects.toThrow(RangeError);
});
