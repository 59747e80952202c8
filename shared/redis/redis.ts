/**
 * Connects to Redis.
 *
 * A command waits until a lost connection is back (`maxRetriesPerRequest: null`, which BullMQ's workers require). Only the
 * first connection has a time-out, so that a wrong address is reported at once.
 */
import { Redis } from 'ioredis';

import { TransientError } from '../runtime/errors.ts';
import type { Log } from '../runtime/log.ts';

const FIRST_CONNECT_TIMEOUT_MS = 5_000;

export type { Redis } from 'ioredis';

/** Connects, or throws REDIS_UNAVAILABLE. */
export async function connectRedis(url: string, log: Log): Promise<Redis> {
  const redis = new Redis(url, {
    maxRetriesPerRequest: null,
    lazyConnect: true,
    connectTimeout: FIRST_CONNECT_TIMEOUT_MS,
  });
  let lastError: unknown;
  redis.on('error', (error: unknown) => {
    lastError = error;
    log.warn({ error }, 'redis connection failed');
  });
  try {
    await withTimeout(redis.connect(), FIRST_CONNECT_TIMEOUT_MS);
    return redis;
  } catch (error) {
    redis.disconnect();
    const where = redactedUrl(url);
    throw new TransientError('REDIS_UNAVAILABLE', `Cannot reach Redis at ${where}: it does not respond.`, {
      hint: 'Check FRAMEFLEET_REDIS_URL and that the server is running. `redis-cli -u URL ping` should print PONG.',
      cause: lastError ?? error,
    });
  }
}

async function withTimeout<T>(promise: Promise<T>, durationMs: number): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no connection within ${durationMs} ms`)), durationMs);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function redactedUrl(url: string): string {
  try {
    return new URL(url).host;
  } catch {
    return 'the configured address';
  }
}
