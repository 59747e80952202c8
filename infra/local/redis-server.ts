/** Runs redis-server on a free port of the loopback interface, with a new password for each start. */
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';

import { connectRedis } from '../../shared/redis/redis.ts';
import { systemClock } from '../../shared/runtime/clock.ts';
import { createLog } from '../../shared/runtime/log.ts';
import { Part, type ServerOptions } from './part.ts';

/** Another program may take the free port before Redis can listen on it. */
const START_TRIES = 5;
const PING_TRIES = 100;
const PING_REST_MS = 50;

export interface LocalRedis {
  readonly part: Part;
  readonly url: string;
}

export async function startRedis({ folder, logPath, isPersistent }: ServerOptions): Promise<LocalRedis> {
  const dataFolder = path.join(folder, 'redis');
  await mkdir(dataFolder, { recursive: true });
  const configPath = path.join(dataFolder, 'redis.conf');
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    const password = randomBytes(12).toString('hex');
    // In a file, because every user of the machine can read a program's arguments.
    await writeFile(configPath, redisConfig({ port, password, dataFolder, isPersistent }), { mode: 0o600 });
    const part = new Part({
      name: 'Redis',
      program: { command: 'redis-server', args: [configPath] },
      env: process.env,
      cwd: dataFolder,
      logPath,
      stopGraceMs: 5_000,
    });
    const url = `redis://:${password}@127.0.0.1:${port}`;
    try {
      await Promise.race([ping(url), part.failure()]);
      return { part, url };
    } catch (error) {
      await part.stop();
      if (attempt >= START_TRIES) throw error;
    }
  }
}

interface RedisOptions {
  readonly port: number;
  readonly password: string;
  readonly dataFolder: string;
  readonly isPersistent: boolean;
}

function redisConfig(options: RedisOptions): string {
  return [
    'bind 127.0.0.1',
    `port ${options.port}`,
    `requirepass ${options.password}`,
    `dir ${JSON.stringify(options.dataFolder)}`,
    'maxmemory-policy noeviction',
    'save ""',
    `appendonly ${options.isPersistent ? 'yes' : 'no'}`,
  ].join('\n');
}

async function ping(url: string): Promise<void> {
  const log = createLog({ room: 'stack', level: 'silent' });
  for (let attempt = 1; ; attempt += 1) {
    try {
      const redis = await connectRedis(url, log);
      await redis.ping();
      redis.disconnect();
      return;
    } catch (error) {
      if (attempt >= PING_TRIES) throw error;
      await systemClock.sleep(PING_REST_MS);
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  const address = server.address();
  server.close();
  if (typeof address !== 'object' || address === null) throw new TypeError('expected a TCP address');
  return address.port;
}
