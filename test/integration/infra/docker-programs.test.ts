/** The two small programs of the images: what prepares an emulator, and what tells Docker whether a service is alive. */
import { execFile } from 'node:child_process';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { PATIENT } from '../../../shared/azure/credentials.ts';
import { modelBlob } from '../../../shared/contract/blob-names.ts';
import { systemClock } from '../../../shared/runtime/clock.ts';
import { createHttp, listen } from '../../../shared/runtime/http.ts';
import { LoopHealth } from '../../../shared/runtime/loop-health.ts';
import { createRegistry } from '../../../shared/runtime/metrics.ts';
import { type TestStorage, startTestStorage } from '../../support/servers.ts';

interface Ended {
  readonly status: number;
  readonly said: string;
}

function run(program: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [program, ...args],
      { env: { PATH: process.env['PATH'], ...environment } },
      (_, stdout, stderr) => resolve({ status: child.exitCode ?? -1, said: stdout + stderr }),
    );
  });
}

describe('prepare', () => {
  let storage: TestStorage;
  beforeAll(async () => {
    storage = await startTestStorage();
  });
  afterAll(async () => {
    await storage[Symbol.asyncDispose]();
  });

  const prepare = (): Promise<Ended> =>
    run('infra/docker/prepare.ts', [], {
      FRAMEFLEET_MEDIA_STORAGE: storage.connection.media,
      FRAMEFLEET_SYSTEM_STORAGE: storage.connection.system,
    });

  test('makes what is missing and publishes the model, and once more changes nothing', async () => {
    const queues = await storage.accounts.system.queues(PATIENT);
    const queue = queues.getQueueClient('frame-batches');
    const container = (await storage.accounts.media.blobs(PATIENT)).getContainerClient('scored');
    await Promise.all([queue.delete(), container.delete()]);
    const model = { name: 'painter', version: '1' };
    expect(await storage.blobs.stat('models', modelBlob(model, 'model.json'))).toBeUndefined();

    expect(await prepare()).toMatchObject({ status: 0, said: expect.stringContaining('storage is ready') });
    expect(await Promise.all([queue.exists(), container.exists()])).toEqual([true, true]);
    const published = await storage.blobs.stat('models', modelBlob(model, 'model.json'));
    expect(published).toBeDefined();

    expect(await prepare()).toMatchObject({ status: 0 });
    expect(await storage.blobs.stat('models', modelBlob(model, 'model.json'))).toEqual(published);
  });

  test('without its variables names them, and exits with 64', async () => {
    const { status, said } = await run('infra/docker/prepare.ts', []);
    expect(status).toBe(64);
    expect(said).toContain('FRAMEFLEET_MEDIA_STORAGE');
    expect(said).toContain('FRAMEFLEET_SYSTEM_STORAGE');
  });
});

describe('health', () => {
  let isLive = true;
  const loops = new LoopHealth(systemClock);
  const http = createHttp({
    registry: createRegistry(),
    health: loops,
    isLive: () => isLive,
    isReady: () => true,
  });
  let port = 0;
  beforeAll(async () => {
    port = await listen(http, { host: '127.0.0.1', port: 0 });
  });
  afterAll(async () => {
    await http.close();
  });
  const health = async (one: number): Promise<number> =>
    (await run('infra/docker/health.mjs', [String(one)])).status;

  test('is 0 for a service that is alive, and 1 for one that says it is not', async () => {
    expect(await health(port)).toBe(0);
    isLive = false;
    expect(await health(port)).toBe(1);
    isLive = true;
  });

  test('is 1 where nobody listens', async () => {
    expect(await health(9)).toBe(1);
  });
});
