/** A service that lacks something it needs reports it in a sentence and exits with a status; it does not hang. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startService } from '../../support/commands.ts';
import { type TestRedis, type TestStorage, startTestRedis, startTestStorage } from '../../support/servers.ts';

/** No process listens on the discard port of the loopback interface. */
const CLOSED_PORT = '127.0.0.1:9';
const SILENT_STORAGE = `DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;BlobEndpoint=http://${CLOSED_PORT}/a;QueueEndpoint=http://${CLOSED_PORT}/a`;

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
  return { status, output: `${stdout}${stderr}` };
}

describe.each(['producer', 'scaler', 'worker'] as const)('the %s', (room) => {
  test('names every missing or invalid variable and exits with 64', async () => {
    const { status, output } = await start(room, { FRAMEFLEET_HTTP_PORT: 'eighty' });
    expect(output).toContain('FRAMEFLEET_SYSTEM_STORAGE');
    expect(output).toContain('FRAMEFLEET_MEDIA_STORAGE');
    expect(output).toContain('FRAMEFLEET_HTTP_PORT');
    expect(output).toContain('eighty');
    expect(status).toBe(64);
  });

  test('reports storage that does not answer and exits with 69', async () => {
    const { status, output } = await start(room, {
      FRAMEFLEET_MEDIA_STORAGE: SILENT_STORAGE,
      FRAMEFLEET_SYSTEM_STORAGE: SILENT_STORAGE,
      FRAMEFLEET_REDIS_URL: `redis://${CLOSED_PORT}`,
    });
    expect(output).toMatch(/Cannot reach the (media|system) storage: it does not respond/);
    expect(status).toBe(69);
  });
});

test.each(['producer', 'scaler'] as const)(
  'the %s reports a Redis that does not answer and exits with 69',
  async (room) => {
    const { status, output } = await start(room, {
      FRAMEFLEET_MEDIA_STORAGE: storage.connection.media,
      FRAMEFLEET_SYSTEM_STORAGE: storage.connection.system,
      FRAMEFLEET_REDIS_URL: `redis://:secret@${CLOSED_PORT}`,
    });
    expect(output).toContain(`Cannot reach Redis at ${CLOSED_PORT}`);
    expect(output).not.toContain('secret');
    expect(status).toBe(69);
  },
);

test.each(['producer', 'scaler'] as const)(
  'the %s reports a port that is in use and exits with 64',
  async (room) => {
    const { port } = new URL(redis.url);
    const { status, output } = await start(room, {
      FRAMEFLEET_MEDIA_STORAGE: storage.connection.media,
      FRAMEFLEET_SYSTEM_STORAGE: storage.connection.system,
      FRAMEFLEET_REDIS_URL: redis.url,
      FRAMEFLEET_HTTP_PORT: port,
    });
    expect(output).toContain(`Port ${port} on 127.0.0.1 is in use`);
    expect(status).toBe(64);
  },
);
