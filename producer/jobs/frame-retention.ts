/**
 * When the frames of ended jobs are due for removal, and the lock on all frames of a job.
 *
 * Due times are lost with Redis. The lifecycle rule of the storage account then removes the frames. The hold prevents removing
 * frames while the job is reopened, and two producers from doing either at the same time.
 */
import { randomUUID } from 'node:crypto';

import type { Redis } from 'ioredis';

const DUE = 'framefleet:frames-due';
/** Longer than any operation under a hold takes. If the holder is killed, its hold expires after this time. */
export const HOLD_MS = 300_000;

/** Removes a job's due time unless it has changed since. KEYS due. ARGV jobId, time. */
const REMOVE_DUE = `
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

  /** Replaces any earlier due time. */
  async schedule({ jobId, dueAtMs }: DueFrames): Promise<void> {
    await this.#redis.zadd(DUE, dueAtMs, jobId);
  }

  /** For a job that is reopened: its frames must stay. */
  async cancel(jobId: string): Promise<void> {
    await this.#redis.zrem(DUE, jobId);
  }

  /** Undefined if the frames of the job are not scheduled for removal. */
  async dueAtMs(jobId: string): Promise<number | undefined> {
    const due = await this.#redis.zscore(DUE, jobId);
    return due === null ? undefined : Number(due);
  }

  /** At most `max` jobs that are due, longest overdue first. */
  async listDue(nowMs: number, max: number): Promise<DueFrames[]> {
    const jobIds = await this.#redis.zrange(DUE, '-inf', String(nowMs), 'BYSCORE', 'LIMIT', 0, max);
    const times = await Promise.all(jobIds.map((jobId) => this.dueAtMs(jobId)));
    return jobIds.flatMap((jobId, index) => {
      const dueAtMs = times[index];
      return dueAtMs === undefined ? [] : [{ jobId, dueAtMs }];
    });
  }

  /** Removes the due time, once the frames are removed or must stay. */
  async removeDue({ jobId, dueAtMs }: DueFrames): Promise<void> {
    await this.#redis.eval(REMOVE_DUE, 1, DUE, jobId, dueAtMs);
  }

  /** Undefined while another producer holds the job's frames. Release it with `await using hold = …`. */
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
