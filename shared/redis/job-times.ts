/**
 * What a job has taken, in Redis beside its record in the ledger: when its stages began and ended, the seconds of engines, and how far each
 * worker is with its batch. For the report and for the time left; nothing else depends on it.
 */
import type { Redis } from 'ioredis';
import { z } from 'zod';

import type { SplitOfJob } from '../contract/blob-names.ts';
import { jobKey } from './ledger-scripts.ts';

/** A worker that has not reported for longer has no batch of the job: it reports every five seconds while it has one. */
const WORKER_MS_MAX = 15_000;
/** How long a worker has worked when it reports for the first time. */
const REPORT_MS = 5_000;

const instant = z.coerce.number().positive().optional();
const amount = z.coerce.number().min(0).catch(0);

const times = z.object({
  /** As Unix time in ms. The first: when the job was opened again for a retry. */
  reopenedAtMs: instant,
  splittingSinceMs: instant,
  splitAtMs: instant,
  scoringSinceMs: instant,
  scoredAtMs: instant,
  /** Of engines, in the model, in all runs of the job; also for frames of a delivery that was lost later. */
  inferSeconds: amount,
  /** Of workers with a batch of the job, each up to its last report. */
  reportedSeconds: amount,
  /** Frames that were done before scoring began, in an earlier run of the job. */
  framesBefore: z.coerce.number().int().min(0).optional(),
});
export type JobTimesSoFar = z.infer<typeof times>;
/** `inferSeconds`: of the runs before, of a job that was opened again. */
export type JobMarks = Partial<Omit<JobTimesSoFar, 'reportedSeconds'>>;

/** A worker that has a batch of the job, as it last reported. */
export interface BusyWorker {
  readonly reportedAtMs: number;
  /** Of its batch, frames that are not scored. 0: it is done, and takes the next batch if there is one. */
  readonly framesLeft: number;
}

/** KEYS job, times. ARGV names, each followed by a number. Sets what is not set yet. */
const MARK = `
if redis.call('HEXISTS', KEYS[1], 'definition') == 0 or redis.call('TTL', KEYS[1]) >= 0 then return 0 end
for i = 1, #ARGV, 2 do redis.call('HSETNX', KEYS[2], ARGV[i], ARGV[i + 1]) end
return 1`;

/**
 * KEYS job, times, workers, resolved. ARGV worker, nowMs, batch, underway, infer seconds, the ms since the worker began if it has not reported
 * lately, and how long ago lately is. Until a worker has scored its first frame, it loads the model: that time does not count.
 */
const ADD = `
if redis.call('HEXISTS', KEYS[1], 'definition') == 0 or redis.call('TTL', KEYS[1]) >= 0 then return 0 end
local fields = redis.call('HMGET', KEYS[1], 'batchSize', 'framesSplit')
local size, split, batch = tonumber(fields[1] or 0), tonumber(fields[2] or 0), tonumber(ARGV[3])
local frameStart, frameEnd = batch * size, math.min((batch + 1) * size, split)
local left = -tonumber(ARGV[4])
for frame = frameStart, frameEnd - 1 do
  if redis.call('GETBIT', KEYS[4], frame) == 0 then left = left + 1 end
end
left = math.max(0, left)
local now, worked = tonumber(ARGV[2]), tonumber(ARGV[6])
local before, hasBegun = string.match(redis.call('HGET', KEYS[3], ARGV[1]) or '', '^(%d+) %d+ (%d)')
local isRecent = before and now - before < tonumber(ARGV[7])
if isRecent then worked = math.max(0, now - before) end
if not isRecent or hasBegun == '0' then hasBegun = left < frameEnd - frameStart and '1' or '0' end
if hasBegun == '0' then worked = 0 end
redis.call('HINCRBYFLOAT', KEYS[2], 'inferSeconds', ARGV[5])
redis.call('HINCRBYFLOAT', KEYS[2], 'reportedSeconds', worked / 1000)
redis.call('HSET', KEYS[3], ARGV[1], ARGV[2] .. ' ' .. left .. ' ' .. hasBegun)
return 1`;

export interface WorkReport {
  readonly worker: string;
  readonly batchIndex: number;
  /** Frames of the batch that are scored and not stored yet. */
  readonly underway: number;
  readonly inferSeconds: number;
  /** Of the delivery, at its end; 0 before. */
  readonly wallSeconds: number;
  readonly nowMs: number;
}

export class JobTimes {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** Notes when stages began or ended; what is noted already stays. */
  async mark(jobId: string, marks: JobMarks): Promise<void> {
    const args = Object.entries(marks).filter(([, value]) => value !== undefined);
    if (args.length === 0) return;
    await this.#redis.eval(MARK, 2, jobKey(jobId), jobKey(jobId, 'times'), ...args.flat().map(String));
  }

  /** A result that is received twice, because a producer was killed, counts twice. */
  async add({ jobId }: Pick<SplitOfJob, 'jobId'>, report: WorkReport): Promise<void> {
    const { worker, batchIndex, underway, inferSeconds, wallSeconds, nowMs } = report;
    const keys = ['', 'times', 'workers', 'resolved'].map((part) => jobKey(jobId, part));
    const workedMs = wallSeconds > 0 ? wallSeconds * 1000 : REPORT_MS;
    const args = [worker, nowMs, batchIndex, underway, inferSeconds, workedMs, WORKER_MS_MAX];
    await this.#redis.eval(ADD, keys.length, ...keys, ...args);
  }

  async read(jobId: string): Promise<JobTimesSoFar> {
    return times.catch(() => times.parse({})).parse(await this.#redis.hgetall(jobKey(jobId, 'times')));
  }

  /** The workers that have reported lately. */
  async busyWorkers(jobId: string, nowMs: number): Promise<BusyWorker[]> {
    const reports = await this.#redis.hvals(jobKey(jobId, 'workers'));
    return reports
      .map((report) => report.split(' ').map(Number))
      .map(([reportedAtMs = 0, framesLeft = 0]) => ({ reportedAtMs, framesLeft }))
      .filter(({ reportedAtMs }) => reportedAtMs > nowMs - WORKER_MS_MAX);
  }
}
