/** Connections to the Redis of a test, closed when they are disposed of. */
import { type Redis, connectRedis } from '../../shared/redis/redis.ts';
import type { TestRedis } from './servers.ts';
import { silentLog } from './silent-log.ts';

export interface Connections extends Disposable {
  readonly all: readonly Redis[];
  readonly first: Redis;
}

export async function connect({ url }: Pick<TestRedis, 'url'>, count = 1): Promise<Connections> {
  const all = await Promise.all(Array.from({ length: count }, () => connectRedis(url, silentLog)));
  const [first] = all;
  if (first === undefined) throw new RangeError('expected at least one connection');
  return {
    all,
    first,
    [Symbol.dispose]: () => {
      for (const redis of all) redis.disconnect();
    },
  };
}
