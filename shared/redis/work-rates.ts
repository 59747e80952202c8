/**
 * How fast engines and producers work, in Redis: megapixels per second by kind of work. Each rate is the quotient of two sums in which earlier
 * measurements weigh less and less, so that short ones, which are mostly a start, count little.
 */
import type { Redis } from 'ioredis';

const MEGAPIXELS = 'framefleet:work-rates:megapixels';
const SECONDS = 'framefleet:work-rates:seconds';
/** Of all earlier measurements, with each new one: a rate follows a change within about ten. */
const KEPT = 0.9;

/** `model:<name>` is the work of one engine, the others are work of a producer. */
export type WorkKind = 'split:cut' | 'split:decode' | 'split:images' | 'join' | `model:${string}`;

/** KEYS megapixels, seconds. ARGV kind, megapixels, seconds, share kept. */
const RECORD = `
for i = 1, 2 do
  local before = tonumber(redis.call('HGET', KEYS[i], ARGV[1]) or 0) or 0
  redis.call('HSET', KEYS[i], ARGV[1], before * tonumber(ARGV[4]) + tonumber(ARGV[i + 1]))
end
return 1`;

export class WorkRates {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** No effect unless both are positive. */
  async record(kind: WorkKind, megapixels: number, seconds: number): Promise<void> {
    if (!(megapixels > 0 && seconds > 0)) return;
    await this.#redis.eval(RECORD, 2, MEGAPIXELS, SECONDS, kind, megapixels, seconds, KEPT);
  }

  /** Megapixels per second of each kind of work that has been measured. */
  async read(): Promise<ReadonlyMap<WorkKind, number>> {
    const [megapixels, seconds] = await Promise.all([
      this.#redis.hgetall(MEGAPIXELS),
      this.#redis.hgetall(SECONDS),
    ]);
    const rates = Object.entries(megapixels).map(
      ([kind, amount]) => [kind as WorkKind, Number(amount) / Number(seconds[kind])] as const,
    );
    return new Map(rates.filter(([, rate]) => rate > 0 && rate < Infinity));
  }
}
