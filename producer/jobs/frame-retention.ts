/**
 * When the frames of ended jobs are due for removal, and who may touch a job's frames as a whole.
 *
 * A due time is a wish: a lost Redis loses it, and the storage account's own lifecycle rule is then what removes the frames. The
 * hold keeps the removal of a job's frames and its being opened again apart, and two producers that would do the same.
 */
import { randomUUID } from 'node:crypto';

import type { Redis } from 'ioredis';

const DUE = 'framefleet:frames-due';
/** Longer than whoever holds it works without looking at the clock; a killed holder's hold is over after this. */
export const HOLD_MS = 300_000;

/** Takes a job off the list unless it has got another time since. KEYS due. ARGV jobId, time. */
const DONE = `
local due = redis.call('ZSCORE', KEYS[1], ARGV[1])
if due and tonumber(due) == tonumber(ARGV[2]) then redis.call('ZREM', KEYS[1], ARGV[1]) end`;

/** KEYS hold. ARGV token. */
const RELEASE = `if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end`;

export interface DueFrames {
  readonly jobId: string;
  readonly dueAtMs: number;
}

export class FrameRetention {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** A later time takes the place of an earlier one. */
  async schedule({ jobId, dueAtMs }: DueFrames): Promise<void> {
    await this.#redis.zadd(DUE, dueAtMs, jobId);
  }

  /** The job lives again: its frames are nobody's to remove. */
  async cancel(jobId: string): Promise<void> {
    await this.#redis.zrem(DUE, jobId);
  }

  /** The time of a job's frames, or undefined. */
  async dueAtMs(jobId: string): Promise<number | undefined> {
    const due = await this.#redis.zscore(DUE, jobId);
    return due === null ? undefined : Number(due);
  }

  /** Those that are due longest. */
  async due(nowMs: number, { max }: { readonly max: number }): Promise<DueFrames[]> {
    const jobIds = await this.#redis.zrange(DUE, '-inf', String(nowMs), 'BYSCORE', 'LIMIT', 0, max);
    const times = await Promise.all(jobIds.map((jobId) => this.dueAtMs(jobId)));
    return jobIds.flatMap((jobId, index) => {
      const dueAtMs = times[index];
      return dueAtMs === undefined ? [] : [{ jobId, dueAtMs }];
    });
  }

  /** The frames are removed, or are not to be. */
  async done({ jobId, dueAtMs }: DueFrames): Promise<void> {
    await this.#redis.eval(DONE, 1, DUE, jobId, dueAtMs);
  }

  /** Undefined while another holds the job's frames. To be given back: `await using hold = …`. */
  async hold(jobId: string): Promise<AsyncDisposable | undefined> {
    const [key, token] = [`framefleet:frames-held:${jobId}`, randomUUID()];
    if ((await this.#redis.set(key, token, 'PX', HOLD_MS, 'NX')) === null) return undefined;
    return {
      [Symbol.asyncDispose]: async () => {
        await this.#redis.eval(RELEASE, 1, key, token);
      },
    };
  }
}
