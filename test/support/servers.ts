/** Starts a Redis and an Azurite for a single test file, each in a temporary folder. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { type LocalStorage, startAzurite } from '../../infra/local/azurite.ts';
import { type LocalRedis, startRedis } from '../../infra/local/redis-server.ts';
import { type BlobStore, openBlobStore } from '../../shared/azure/blob-store.ts';
import { PATIENT, type StorageAccount, storageAccount } from '../../shared/azure/credentials.ts';

export interface TestStorage extends AsyncDisposable {
  readonly connection: Pick<LocalStorage, 'media' | 'system'>;
  readonly accounts: { readonly media: StorageAccount; readonly system: StorageAccount };
  readonly blobs: BlobStore;
  readonly pid: number | undefined;
}

/** Starts storage with every container and queue of the layout. */
export async function startTestStorage(): Promise<TestStorage> {
  const folder = await testFolder();
  const { part, media, system } = await startAzurite({
    folder,
    logPath: path.join(folder, 'azurite.log'),
    isPersistent: false,
  });
  const accounts = { media: storageAccount(media), system: storageAccount(system) };
  return {
    connection: { media, system },
    accounts,
    blobs: await openBlobStore(accounts, PATIENT),
    pid: part.pid,
    [Symbol.asyncDispose]: async () => {
      await part.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export interface TestRedis extends AsyncDisposable {
  readonly url: LocalRedis['url'];
  readonly pid: number | undefined;
}

export async function startTestRedis(): Promise<TestRedis> {
  const folder = await testFolder();
  const { part, url } = await startRedis({
    folder,
    logPath: path.join(folder, 'redis.log'),
    isPersistent: false,
  });
  return {
    url,
    pid: part.pid,
    [Symbol.asyncDispose]: async () => {
      await part.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Creates a temporary folder. The caller removes it. */
export function testFolder(): Promise<string> {
  return mkdtemp(path.join(tmpdir(), 'framefleet-test-'));
}
