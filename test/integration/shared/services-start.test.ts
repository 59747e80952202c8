/** What a service says and does when something it needs is not there: one sentence that helps, an exit status, no hanging. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startService } from '../../support/commands.ts';
import { type TestRedis, type TestStorage, startTestRedis, startTestStorage } from '../../support/servers.ts';

/** Nobody listens there: the discard port of the loopback interface. */
const NOBODY = '127.0.0.1:9';
const SILENT_STORAGE = `DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;BlobEndpoint=http://${NOBODY}/a;QueueEndpoint=http://${NOBODY}/a`;

let storage: TestStorage;
let redis: TestRedis;
beforeAll(async () => {
  [storage, redis] = await Promise.all([startTestStorage(), startTestRedis()]);
});
afterAll(async () => {
  await Promise.all([storage[Symbol.asyncDispose](), redis[Symbol.asyncDispose]()]);
});

async function start(room: 'producer' | 'scaler' | 'worker', environment: Readonly<Record<string, string>>) {
  const { status, stdout, stderr } = await startService(room, { localFolder: '/nowhere', environment }).end;
  return { status, said: `${stdout}${stderr}` };
}

describe.each(['producer', 'scaler', 'worker'] as const)('the %s', (room) => {
  test('without its variables names every one of them, and exits with 64', async () => {
    const { status, said } = await start(room, { FRAMEFLEET_HTTP_PORT: 'eighty' });
    expect(said).toContain('FRAMEFLEET_SYSTEM_STORAGE');
    expect(said).toContain('FRAMEFLEET_MEDIA_STORAGE');
    expect(said).toContain('FRAMEFLEET_HTTP_PORT');
    expect(said).toContain('eighty');
    expect(status).toBe(64);
  });

  test('with storage that does not answer says so, and exits with 69', async () => {
    const { status, said } = await start(room, {
      FRAMEFLEET_MEDIA_STORAGE: SILENT_STORAGE,
      FRAMEFLEET_SYSTEM_STORAGE: SILENT_STORAGE,
      FRAMEFLEET_REDIS_URL: `redis://${NOBODY}`,
    });
    expect(said).toMatch(/Cannot reach the (media|system) storage: it does not respond/);
    expect(status).toBe(69);
  });
});

test.each(['producer', 'scaler'] as const)(
  'the %s with a Redis that does not answer says so, and exits with 69',
  async (room) => {
    const { status, said } = await start(room, {
      FRAMEFLEET_MEDIA_STORAGE: storage.connection.media,
      FRAMEFLEET_SYSTEM_STORAGE: storage.connection.system,
      FRAMEFLEET_REDIS_URL: `redis://:secret@${NOBODY}`,
    });
    expect(said).toContain(`Cannot reach Redis at ${NOBODY}`);
    expect(said).not.toContain('secret');
    expect(status).toBe(69);
  },
);

test.each(['producer', 'scaler'] as const)(
  'the %s on a port that is taken says so, and exits with 64',
  async (room) => {
    const { port } = new URL(redis.url);
    const { status, said } = await start(room, {
      FRAMEFLEET_MEDIA_STORAGE: storage.connection.media,
      FRAMEFLEET_SYSTEM_STORAGE: storage.connection.system,
      FRAMEFLEET_REDIS_URL: redis.url,
      FRAMEFLEET_HTTP_PORT: port,
    });
    expect(said).toContain(`Port ${port} on 127.0.0.1 is in use`);
    expect(status).toBe(64);
  },
);
