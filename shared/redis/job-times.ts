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

const instant = z.coerce.number().positive().optional();
const amount = z.coerce.number().min(0).catch(0);

const times = z.object({
  /** As Unix time in ms. */
  splittingSinceMs: instant,
  splitAtMs: instant,
  scoringSinceMs: instant,
  scoredAtMs: instant,
  /** Of engines, in the model; summed over all frames that were scored, also those of a delivery that was lost later. */
  inferSeconds: amount,
  /** Of workers with a batch of the job. */
  workerSeconds: amount,
});
export type JobTimesSoFar = z.infer<typeof times>;
export type JobStageTimes = Pick<
  JobTimesSoFar,
  'splittingSinceMs' | 'splitAtMs' | 'scoringSinceMs' | 'scoredAtMs'
>;

/** A worker that has a batch of the job, as it last reported. */
export interface BusyWorker {
  readonly reportedAtMs: number;
  /** Of its batch, frames that are not scored. 0: it is done, and takes the next batch if there is one. */
  readonly framesLeft: number;
}

/** KEYS job, times. ARGV names of stages, each followed by its time. Sets what is not set yet. */
const MARK = `
if redis.call('HEXISTS', KEYS[1], 'definition') == 0 or redis.call('TTL', KEYS[1]) >= 0 then return 0 end
for i = 1, #ARGV, 2 do redis.call('HSETNX', KEYS[2], ARGV[i], ARGV[i + 1]) end
return 1`;

/** KEYS job, times, workers, resolved. ARGV worker, nowMs, batch, underway, infer seconds, worker seconds. */
const ADD = `
if redis.call('HEXISTS', KEYS[1], 'definition') == 0 or redis.call('TTL', KEYS[1]) >= 0 then return 0 end
redis.call('HINCRBYFLOAT', KEYS[2], 'inferSeconds', ARGV[5])
redis.call('HINCRBYFLOAT', KEYS[2], 'workerSeconds', ARGV[6])
local fields = redis.call('HMGET', KEYS[1], 'batchSize', 'framesSplit')
local size, split, batch = tonumber(fields[1] or 0), tonumber(fields[2] or 0), tonumber(ARGV[3])
local left = -tonumber(ARGV[4])
for frame = batch * size, math.min((batch + 1) * size, split) - 1 do
  if redis.call('GETBIT', KEYS[4], frame) == 0 then left = left + 1 end
end
redis.call('HSET', KEYS[3], ARGV[1], ARGV[2] .. ' ' .. math.max(0, left))
return 1`;

export interface WorkReport {
  readonly worker: string;
  readonly batchIndex: number;
  /** Frames of the batch that are scored and not stored yet. */
  readonly underway: number;
  readonly inferSeconds: number;
  readonly workerSeconds: number;
  readonly nowMs: number;
}

export class JobTimes {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** Notes when stages began or ended; what is noted already stays. */
  async mark(jobId: string, stages: JobStageTimes): Promise<void> {
    const marks = Object.entries(stages).filter(([, atMs]) => atMs !== undefined);
    if (marks.length === 0) return;
    await this.#redis.eval(MARK, 2, jobKey(jobId), jobKey(jobId, 'times'), ...marks.flat().map(String));
  }

  /** A result that is received twice, because a producer was killed, counts twice. */
  async add({ jobId }: Pick<SplitOfJob, 'jobId'>, report: WorkReport): Promise<void> {
    const { worker, batchIndex, underway, inferSeconds, workerSeconds, nowMs } = report;
    const keys = ['', 'times', 'workers', 'resolved'].map((part) => jobKey(jobId, part));
    await this.#redis.eval(ADD, 4, ...keys, worker, nowMs, batchIndex, underway, inferSeconds, workerSeconds);
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
