/**
 * A program that acts twenty times a second while it leads. Before each action it asks Redis, as the scaler does before a removal, and
 * prints the time. Tests pause, resume and kill it.
 */
import { Leadership } from '../../scaler/leader.ts';
import { connectRedis } from '../../shared/redis/redis.ts';
import { systemClock as clock } from '../../shared/runtime/clock.ts';
import { silentLog as log } from './silent-log.ts';

const [, , url = '', leaseMs = ''] = process.argv;
const redis = await connectRedis(url, log);
const leader = new Leadership({ redis, name: 'test', leaseMs: Number(leaseMs), clock, log });
const stopping = new AbortController();
process.once('SIGTERM', () => stopping.abort(new Error('told to stop')));
const running = leader.run(stopping.signal);
process.stdout.write('started\n');
while (!stopping.signal.aborted) {
  if (await leader.confirm()) process.stdout.write(`acted ${Date.now()}\n`);
  await clock.sleep(50);
}
await running;
redis.disconnect();
