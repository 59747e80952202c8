/**
 * A program that acts for as long as it leads, twenty times a second: to be stopped, woken and killed. It says each act with the
 * time, and asks Redis right before it, as the scaler does before a removal.
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
