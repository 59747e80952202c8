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

const look = (vmId: string) => findDrainRequest({ blobs: storage.blobs, vmId, log });
const ask = (vmId: string) => storage.blobs.put('control', drainBlob(vmId), '');

test('a machine that nobody has asked has no request, whoever else was asked', async () => {
  await ask('vm-10');
  expect(await look('vm-1')).toBeNull();
});

test('a request is found by its etag, the same one at every look', async () => {
  await ask('vm-2');
  const stored = await storage.blobs.stat('control', 'drain/vm-2');
  expect(stored?.etag).toMatch(/.+/);
  expect(await look('vm-2')).toBe(stored?.etag);
  expect(await look('vm-2')).toBe(stored?.etag);
});

test('a request made again is another request, and one taken back is none', async () => {
  await ask('vm-3');
  const first = await look('vm-3');
  await ask('vm-3');
  const second = await look('vm-3');
  expect(second).toEqual(expect.any(String));
  expect(second).not.toBe(first);
  await storage.blobs.remove('control', drainBlob('vm-3'));
  expect(await look('vm-3')).toBeNull();
});

test('storage that does not answer is no request, and is logged', async () => {
  const gone = await startTestStorage();
  const blobs = await openBlobStore(gone.accounts, { ...BRISK, tries: 1, callTimeoutMs: 2_000 });
  await blobs.put('control', drainBlob('vm-4'), '');
  expect(await findDrainRequest({ blobs, vmId: 'vm-4', log })).toEqual(expect.any(String));
  await gone[Symbol.asyncDispose]();
  const heard = createLog({ room: 'test', level: 'silent' });
  const warn = vi.spyOn(heard, 'warn');
  expect(await findDrainRequest({ blobs, vmId: 'vm-4', log: heard })).toBeNull();
  expect(warn).toHaveBeenCalledExactlyOnceWith(
    { vmId: 'vm-4', error: expect.any(Error) as Error },
    'drain request unknown',
  );
});

test('a look that is cut short by the stop is no request, and no reason to complain', async () => {
  const heard = createLog({ room: 'test', level: 'silent' });
  const warn = vi.spyOn(heard, 'warn');
  await ask('vm-5');
  const signal = AbortSignal.abort();
  expect(await findDrainRequest({ blobs: storage.blobs, vmId: 'vm-5', log: heard, signal })).toBeNull();
  expect(warn).not.toHaveBeenCalled();
});

test('a name that could point elsewhere is a mistake of ours, and thrown', async () => {
  await expect(look('../jobs/job-1')).rejects.toThrow(RangeError);
});
