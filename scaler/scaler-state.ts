/**
 * What the scaler keeps in Redis between ticks and restarts: its memory and its measurements. If any of it is lost, the scaler learns
 * it again.
 */
import type { Redis } from 'ioredis';

import { parseJson } from '../shared/contract/parse-json.ts';

const PREFIX = 'framefleet:scaler:';
const MEMORY = `${PREFIX}memory`;
const BOOT_MS = `${PREFIX}boot-ms`;
const INSTANCES = `${PREFIX}instances`;
/** An older memory no longer describes the fleet. */
const MEMORY_SECONDS = 3600;
/** Instances whose boot has been measured: far more than ever exist at once. */
const INSTANCES_MAX = 10_000;

export class ScalerState {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** The saved memory, unchecked: the caller checks its shape. Undefined if there is none. */
  async memory(): Promise<unknown> {
    const text = await this.#redis.get(MEMORY);
    return text === null ? undefined : parseJson(text);
  }

  async saveMemory(memory: unknown): Promise<void> {
    await this.#redis.set(MEMORY, JSON.stringify(memory), 'EX', MEMORY_SECONDS);
  }

  async bootMs(): Promise<number | null> {
    const text = await this.#redis.get(BOOT_MS);
    return text === null ? null : Number(text);
  }

  async saveBootMs(bootMs: number): Promise<void> {
    await this.#redis.set(BOOT_MS, Math.round(bootMs));
  }

  /** True once for each instance, across all scalers. */
  async isNewInstance(vmId: string): Promise<boolean> {
    const answers = await this.#redis
      .multi()
      .zadd(INSTANCES, 'NX', Date.now(), vmId)
      .zremrangebyrank(INSTANCES, 0, -INSTANCES_MAX - 1)
      .exec();
    const [added] = answers ?? [];
    if (added === undefined) throw new Error('expected an answer from Redis for each command');
    const [error, count] = added;
    if (error !== null) throw error;
    return count === 1;
  }
}
