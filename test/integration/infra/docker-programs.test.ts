/** The two helper programs of the images: `prepare.ts` and `health.mjs`. */
import { execFile } from 'node:child_process';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { PATIENT } from '../../../shared/azure/credentials.ts';
import { modelBlob } from '../../../shared/contract/blob-names.ts';
import { systemClock } from '../../../shared/runtime/clock.ts';
import { createHttp, listen } from '../../../shared/runtime/http.ts';
import { LoopHealth } from '../../../shared/runtime/loop-health.ts';
import { createRegistry } from '../../../shared/runtime/metrics.ts';
import { type TestStorage, startTestStorage } from '../../support/servers.ts';

interface CommandResult {
  readonly status: number;
  readonly output: string;
}

function run(
  program: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [program, ...args],
      { env: { PATH: process.env['PATH'], ...environment } },
      (_, stdout, stderr) => resolve({ status: child.exitCode ?? -1, output: stdout + stderr }),
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

  const prepare = (): Promise<CommandResult> =>
    run('infra/docker/prepare.ts', [], {
      FRAMEFLEET_MEDIA_STORAGE: storage.connection.media,
      FRAMEFLEET_SYSTEM_STORAGE: storage.connection.system,
    });

  test('creates missing containers and queues, publishes the model, and changes nothing when repeated', async () => {
    const queues = await storage.accounts.system.queues(PATIENT);
    const queue = queues.getQueueClient('frame-batches');
    const container = (await storage.accounts.media.blobs(PATIENT)).getContainerClient('scored');
    await Promise.all([queue.delete(), container.delete()]);
    const model = { name: 'painter', version: '3' };
    expect(await storage.blobs.stat('models', modelBlob(model, 'model.json'))).toBeUndefined();

    expect(await prepare()).toMatchObject({ status: 0, output: expect.stringContaining('storage is ready') });
    expect(await Promise.all([queue.exists(), container.exists()])).toEqual([true, true]);
    const published = await storage.blobs.stat('models', modelBlob(model, 'model.json'));
    expect(published).toBeDefined();

    expect(await prepare()).toMatchObject({ status: 0 });
    expect(await storage.blobs.stat('models', modelBlob(model, 'model.json'))).toEqual(published);
  });

  test('names missing variables and exits with status 64', async () => {
    const { status, output } = await run('infra/docker/prepare.ts', []);
    expect(status).toBe(64);
    expect(output).toContain('FRAMEFLEET_MEDIA_STORAGE');
    expect(output).toContain('FRAMEFLEET_SYSTEM_STORAGE');
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

  test('exits with status 0 for a live service, and with 1 for one that is not live', async () => {
    expect(await health(port)).toBe(0);
    isLive = false;
    expect(await health(port)).toBe(1);
    isLive = true;
  });

  test('exits with status 1 if no service listens on the port', async () => {
    expect(await health(9)).toBe(1);
  });
});
