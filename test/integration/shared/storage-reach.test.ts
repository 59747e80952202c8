/** What a program says when storage is not there, is not as it should be, or is none of its business. */
import { createServer, type AddressInfo } from 'node:net';

import { expect, test } from 'vitest';

import { openBlobStore } from '../../../shared/azure/blob-store.ts';
import { BRISK, storageAccount } from '../../../shared/azure/credentials.ts';
import { reachStorage } from '../../../shared/azure/storage-errors.ts';
import { systemClock } from '../../../shared/runtime/clock.ts';
import { startTestStorage } from '../../support/servers.ts';

/** A person is waiting. */
const QUICKLY_MS = 20_000;

function connectionString(port: number, key = Buffer.from('wrong').toString('base64')): string {
  return [
    'DefaultEndpointsProtocol=http',
    'AccountName=nobody',
    `AccountKey=${key}`,
    `BlobEndpoint=http://127.0.0.1:${port}/nobody`,
    `QueueEndpoint=http://127.0.0.1:${port}/nobody`,
  ].join(';');
}

async function reach(setting: string): Promise<unknown> {
  const account = storageAccount(setting);
  const door = await openBlobStore({ media: account, system: account }, BRISK);
  return reachStorage('the media storage', () => door.stat('incoming', 'reachable'));
}

test('an address where nobody listens is STORAGE_UNAVAILABLE, soon, with what to do', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));

  const startedAtMs = systemClock.monotonicMs();
  await expect(reach(connectionString(port))).rejects.toMatchObject({
    name: 'TransientError',
    code: 'STORAGE_UNAVAILABLE',
    message: 'Cannot reach the media storage: it does not respond.',
    hint: expect.stringContaining('FRAMEFLEET_MEDIA_STORAGE'),
    cause: expect.anything(),
  });
  expect(systemClock.monotonicMs() - startedAtMs).toBeLessThan(QUICKLY_MS);
});

test('a key that is not right is STORAGE_UNAVAILABLE, and the hint speaks of roles', async () => {
  await using storage = await startTestStorage();
  const wrongKey = storage.connection.media.replace(
    /AccountKey=[^;]*/,
    `AccountKey=${Buffer.alloc(48).toString('base64')}`,
  );
  await expect(reach(wrongKey)).rejects.toMatchObject({
    code: 'STORAGE_UNAVAILABLE',
    message: expect.stringContaining('403'),
    hint: expect.stringContaining('roles'),
  });
  await expect(reach(storage.connection.media)).resolves.toBeUndefined();
});

test('a setting that names no account is CONFIG_INVALID, and is not repeated where a key might stand in it', () => {
  for (const setting of ['', 'My Account', 'https://x.blob.core.windows.net/', 'Secret=s3cr3t']) {
    expect(() => storageAccount(setting)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.not.stringContaining('s3cr3t') }),
    );
  }
});

test('an account that is not for a room is refused, and its other account is not', async () => {
  await using storage = await startTestStorage();
  const room = await openBlobStore({ media: null, system: storage.accounts.system }, BRISK);
  await expect(room.put('frames', 'job-1/a.jpg', '')).rejects.toThrow(
    'the container frames is not available to this room',
  );
  await expect(room.get('incoming', 'job-1/a.jpg')).rejects.toThrow(TypeError);
  await expect(Array.fromAsync(room.list('scored', {}))).rejects.toThrow(TypeError);
  expect(await room.put('models', 'painter/1/model.json', '{}')).toBe('created');
});
