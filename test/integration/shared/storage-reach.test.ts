/** The errors for storage that is out of reach, misconfigured or not available to a room. */
import { createServer, type AddressInfo } from 'node:net';

import { expect, test } from 'vitest';

import { openBlobStore } from '../../../shared/azure/blob-store.ts';
import { BRISK, storageAccount } from '../../../shared/azure/credentials.ts';
import { reachStorage } from '../../../shared/azure/storage-errors.ts';
import { systemClock } from '../../../shared/runtime/clock.ts';
import { startTestStorage } from '../../support/servers.ts';

/** The error must not keep a person waiting. */
const QUICKLY_MS = 20_000;

function connectionString(port: number, key = Buffer.from('wrong').toString('base64')): string {
  return [
    'DefaultEndpointsProtocol=http',
    'AccountName=account',
    `AccountKey=${key}`,
    `BlobEndpoint=http://127.0.0.1:${port}/account`,
    `QueueEndpoint=http://127.0.0.1:${port}/account`,
  ].join(';');
}

async function reach(setting: string): Promise<unknown> {
  const account = storageAccount(setting);
  const blobs = await openBlobStore({ media: account, system: account }, BRISK);
  return reachStorage('the media storage', () => blobs.stat('incoming', 'reachable'));
}

test('a refused connection is reported soon as STORAGE_UNAVAILABLE with a hint', async () => {
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

test('a wrong key is reported as STORAGE_UNAVAILABLE with a hint about roles', async () => {
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

test('an invalid storage setting is reported as CONFIG_INVALID without its value', () => {
  for (const setting of ['', 'My Account', 'https://x.blob.core.windows.net/', 'Secret=s3cr3t']) {
    expect(() => storageAccount(setting)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.not.stringContaining('s3cr3t') }),
    );
  }
});

test('a room can use only the account that is available to it', async () => {
  await using storage = await startTestStorage();
  const room = await openBlobStore({ media: null, system: storage.accounts.system }, BRISK);
  await expect(room.put('pieces', 'job-1/a.nut', '')).rejects.toThrow(
    'the container pieces is not available to this room',
  );
  await expect(room.get('incoming', 'job-1/a.jpg')).rejects.toThrow(TypeError);
  await expect(Array.fromAsync(room.list('scored', {}))).rejects.toThrow(TypeError);
  expect(await room.put('models', 'painter/1/model.json', '{}')).toBe('created');
});
