/**
 * The ledger: the state of every job, in Redis. It is only an index: a lost ledger is rebuilt from storage.
 *
 * A job takes one bit per frame, an entry per failed frame, and an entry per batch on the queue. Each change of a job's state
 * is checked against `mayMove` of the contract within Redis, so that two producers cannot disagree.
 */
import type { Redis } from 'ioredis';

import type { SplitOfJob } from '../contract/blob-names.ts';
import { type JobState, JOB_STATES, isTerminal, mayMove } from '../contract/job.ts';
import {
  type BatchOutcome,
  type ClaimedBatch,
  type FailureReason,
  type JobDefinition,
  type JobError,
  type JobResult,
  type LedgerControl,
  type LedgerJob,
  NO_CAP,
  type ResolvedCounts,
  type SplitPlan,
  type UnreadableJob,
  checkedFrameCount,
  failureReason,
  parseRecord,
  unreadableJobError,
} from './ledger-job.ts';
import {
  CLAIM,
  CLOSE,
  FORGET,
  MOVE,
  OPEN,
  RECORD_SPLIT,
  REQUEUE_STALE,
  RESOLVE,
  SET_OPEN,
  SPLIT_AGAIN,
  jobKey,
  keysOf,
} from './ledger-scripts.ts';

const OPEN_JOBS = 'framefleet:open-jobs';
const RATES = 'framefleet:rates';
const ENGINES = 'framefleet:engines';
/** How long a closed job stays known. Its `status.json` stays after that. */
const CLOSED_JOB_SECONDS = 7 * 24 * 3600;
/** Longer than the longest delay of a batch. */
const DELAYED_SECONDS = 2 * 3600;
/** After this long without a report from the scaler, no engines are assumed to run. */
const ENGINES_SECONDS = 60;
/** The weight of the newest measurement in a rate: it follows a change within about ten batches. */
const RATE_SMOOTHING = 0.2;

export interface MoveOptions {
  readonly error?: JobError;
  readonly result?: JobResult;
  readonly epoch?: number;
}

export class Ledger {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** Returns false if the job is known already. `splitNumber`: the split that storage has begun, else 1. */
  async open(definition: JobDefinition, splitNumber: number): Promise<boolean> {
    const { jobId } = definition.request;
    const keys = [OPEN_JOBS, ...keysOf(jobId)];
    const args = [jobId, JSON.stringify(definition), String(definition.epoch), splitNumber];
    return (await this.#redis.eval(OPEN, keys.length, ...keys, ...args)) === 1;
  }

  /** Whether the job is open or closed, but not forgotten. */
  async isKnown(jobId: string): Promise<boolean> {
    return (await this.#redis.hexists(jobKey(jobId), 'definition')) === 1;
  }

  /** Whether the job is not closed. It may have ended, but its end is not published yet. */
  async isOpen(jobId: string): Promise<boolean> {
    return (await this.#redis.zscore(OPEN_JOBS, jobId)) !== null;
  }

  async hasOpenJobs(): Promise<boolean> {
    return (await this.#redis.exists(OPEN_JOBS)) === 1;
  }

  /** Throws JOB_INVALID if its record cannot be read. */
  async job(jobId: string): Promise<LedgerJob | undefined> {
    const record = await this.#record(jobId);
    if (record === undefined || 'definition' in record) return record;
    throw unreadableJobError(record);
  }

  /** The open jobs whose records can be read, oldest first. */
  async openJobs(): Promise<LedgerJob[]> {
    return (await this.openRecords()).jobs;
  }

  /** Like `openJobs`, plus the open jobs whose records cannot be read. The caller must end those. */
  async openRecords(): Promise<{ jobs: LedgerJob[]; unreadableJobs: UnreadableJob[] }> {
    const ids = await this.#redis.zrange(OPEN_JOBS, '0', '-1');
    const records = await Promise.all(ids.map((jobId) => this.#record(jobId)));
    const known = records.filter((record) => record !== undefined);
    return {
      jobs: known.filter((record) => 'definition' in record),
      unreadableJobs: known.filter((record) => 'reason' in record),
    };
  }

  /** Removes a job, open or closed, without reading its record. For records that cannot be read. */
  async discard(jobId: string): Promise<void> {
    await this.#redis
      .multi()
      .zrem(OPEN_JOBS, jobId)
      .del(...keysOf(jobId))
      .exec();
  }

  async #record(jobId: string): Promise<LedgerJob | UnreadableJob | undefined> {
    const replies = await this.#redis
      .multi()
      .hgetall(jobKey(jobId))
      .zcard(jobKey(jobId, 'dispatched'))
      .llen(jobKey(jobId, 'again'))
      .lrange(jobKey(jobId, 'warnings'), 0, -1)
      .zrange(jobKey(jobId, 'delayed'), '0', '-1', 'WITHSCORES')
      .hvals(jobKey(jobId, 'underway'))
      .exec();
    return parseRecord(jobId, replies ?? []);
  }

  /**
   * Returns false if the job's state does not allow the move, because another producer moved it first. With an epoch, also
   * returns false if the job has been opened again since.
   */
  async move(jobId: string, to: JobState, options: MoveOptions = {}): Promise<boolean> {
    const { epoch, ...fields } = options;
    const set = Object.entries(fields).flatMap(([name, value]) => [name, JSON.stringify(value)]);
    const from = JOB_STATES.filter((state) => mayMove(state, to));
    const args = [epoch ?? '', to, ...set, '--', ...from];
    return (await this.#redis.eval(MOVE, 1, jobKey(jobId), ...args)) === 1;
  }

  /** Removes a terminal job from the open jobs and lets it expire. Returns false if it is closed, or was opened again since. */
  async close(jobId: string, epoch: number): Promise<boolean> {
    const keys = [OPEN_JOBS, ...keysOf(jobId)];
    const args = [jobId, epoch, CLOSED_JOB_SECONDS, ...JOB_STATES.filter(isTerminal)];
    return (await this.#redis.eval(CLOSE, keys.length, ...keys, ...args)) === 1;
  }

  /** Forgets a closed job at once, so that it can be opened again. Returns false if it is open. */
  async forget(jobId: string): Promise<boolean> {
    const keys = [OPEN_JOBS, ...keysOf(jobId)];
    return (await this.#redis.eval(FORGET, keys.length, ...keys, jobId)) === 1;
  }

  /** Returns false if the job has been split again meanwhile. The batch size of a split must not change. */
  async planSplit(split: SplitOfJob, { batchSize, framesExpected, ...plan }: SplitPlan): Promise<boolean> {
    return this.#recordSplit(split, {
      ...plan,
      batchSize: checkedFrameCount(batchSize),
      framesExpected: checkedFrameCount(framesExpected),
    });
  }

  /** Frames 0 to `framesSplit - 1` are stored. Returns false if the job has been split again meanwhile. */
  async recordSplit(split: SplitOfJob, framesSplit: number): Promise<boolean> {
    return this.#recordSplit(split, { framesSplit: checkedFrameCount(framesSplit) });
  }

  /** Returns false if the job has been split again meanwhile. */
  async finishSplit(split: SplitOfJob, count: number): Promise<boolean> {
    const frames = checkedFrameCount(count);
    return this.#recordSplit(split, { framesExpected: frames, framesSplit: frames, splitFinished: 1 });
  }

  async #recordSplit(
    { jobId, splitNumber }: SplitOfJob,
    fields: Readonly<Record<string, number>>,
  ): Promise<boolean> {
    const args = Object.entries(fields).flat();
    return (await this.#redis.eval(RECORD_SPLIT, 1, jobKey(jobId), splitNumber, ...args)) === 1;
  }

  /**
   * Begins the next split of a running job and forgets the outcomes of all frames, whose numbers may change. Returns false if the job
   * has ended, was opened again, or is past this split.
   */
  async splitAgain({ jobId, splitNumber }: SplitOfJob, epoch: number): Promise<boolean> {
    const keys = ['', 'resolved', 'dispatched', 'again', 'failures', 'delayed', 'underway'].map((part) =>
      jobKey(jobId, part),
    );
    return (await this.#redis.eval(SPLIT_AGAIN, keys.length, ...keys, epoch, splitNumber)) === 1;
  }

  /** Replaces what the request says. Returns false if the job is not open. */
  async setControl(jobId: string, { spendingMax, ...others }: Partial<LedgerControl>): Promise<boolean> {
    const cap = spendingMax === undefined ? {} : { spendingMax: spendingMax ?? NO_CAP };
    const args = Object.entries({ ...cap, ...others }).flat();
    return (await this.#redis.eval(SET_OPEN, 1, jobKey(jobId), ...args)) === 1;
  }

  /** Adds a warning to the job, once however often it is found. */
  async warn(jobId: string, sentence: string): Promise<void> {
    const key = jobKey(jobId, 'warnings');
    const warning = this.#redis.multi().lrem(key, 0, sentence).rpush(key, sentence);
    if ((await this.#redis.zscore(OPEN_JOBS, jobId)) === null) warning.expire(key, CLOSED_JOB_SECONDS);
    await warning.exec();
  }

  /** Claims the job's next batch that is ready and has unresolved frames. It then counts as dispatched. */
  async claimBatch({ jobId, splitNumber }: SplitOfJob, nowMs: number): Promise<ClaimedBatch | undefined> {
    const keys = ['', 'resolved', 'dispatched', 'again'].map((part) => jobKey(jobId, part));
    const claimed = (await this.#redis.eval(CLAIM, 4, ...keys, nowMs, splitNumber)) as number[];
    const [batchIndex, frameStart, frameEnd] = claimed;
    if (batchIndex === undefined || frameStart === undefined || frameEnd === undefined) return undefined;
    return { batchIndex, frameStart, frameEnd };
  }

  /** The number of batches on the queue without progress since `olderThanMs`. */
  async countStale(jobId: string, olderThanMs: number): Promise<number> {
    return this.#redis.zcount(jobKey(jobId, 'dispatched'), '-inf', `(${olderThanMs}`);
  }

  /** Marks batches without progress since `olderThanMs` to be sent again; Infinity: all. Returns their number. */
  async requeueStale(jobId: string, olderThanMs: number): Promise<number> {
    const keys = [jobKey(jobId, 'dispatched'), jobKey(jobId, 'again')];
    const limit = olderThanMs === Infinity ? '+inf' : `(${olderThanMs}`;
    return (await this.#redis.eval(REQUEUE_STALE, 2, ...keys, limit)) as number;
  }

  /** Records that a batch was released with a delay, and is not visible on the queue until `untilMs`. */
  async delay(jobId: string, batchIndex: number, delay: { nowMs: number; untilMs: number }): Promise<void> {
    const key = jobKey(jobId, 'delayed');
    await this.#redis
      .multi()
      .zremrangebyscore(key, '-inf', delay.nowMs)
      .zadd(key, delay.untilMs, batchIndex)
      .expire(key, DELAYED_SECONDS)
      .exec();
  }

  /** Marks frames of a split as scored or failed. Idempotent. */
  async resolve({ jobId, splitNumber }: SplitOfJob, result: BatchOutcome): Promise<ResolvedCounts> {
    const { batchIndex, scored, failed, underway = 0, nowMs } = result;
    const groups = failed.map(({ kind, message, frames }) => ({
      reason: JSON.stringify({ kind, message }),
      frames,
    }));
    const keys = ['', 'resolved', 'dispatched', 'failures', 'underway'].map((part) => jobKey(jobId, part));
    const outcomes = [JSON.stringify(scored), JSON.stringify(groups)];
    const args = [nowMs, batchIndex ?? -1, ...outcomes, splitNumber, underway];
    const reply = (await this.#redis.eval(RESOLVE, keys.length, ...keys, ...args)) as number[];
    const [newlyScored = 0, corrected = 0, ...newlyFailedByGroup] = reply;
    const newlyFailed = newlyFailedByGroup.reduce((sum, count) => sum + count, 0);
    return { newlyScored, corrected, newlyFailed, newlyFailedByGroup };
  }

  /** All failed frames, ascending. */
  async failures(jobId: string): Promise<(FailureReason & { readonly frameIndex: number })[]> {
    const entries = Object.entries(await this.#redis.hgetall(jobKey(jobId, 'failures')));
    return entries
      .map(([index, text]) => ({ frameIndex: Number(index), ...failureReason.parse(JSON.parse(text)) }))
      .sort((a, b) => a.frameIndex - b.frameIndex);
  }

  async recordStitched(jobId: string, framesStitched: number): Promise<void> {
    await this.#redis.hset(jobKey(jobId), 'framesStitched', framesStitched);
  }

  /** Records a model's megapixels per second on one engine, smoothed. */
  async recordRate(model: string, megapixelsPerSecond: number): Promise<void> {
    const before = (await this.rate(model)) ?? megapixelsPerSecond;
    await this.#redis.hset(RATES, model, before + RATE_SMOOTHING * (megapixelsPerSecond - before));
  }

  /** Megapixels per second on one engine; undefined if the model has not run yet. */
  async rate(model: string): Promise<number | undefined> {
    const text = await this.#redis.hget(RATES, model);
    const rate = Number(text);
    return rate > 0 && rate < Infinity ? rate : undefined;
  }

  /** The scaler reports how many engines run or boot, from which dispatch derives how much to keep on the queue. */
  async recordEngines(count: number): Promise<void> {
    await this.#redis.set(ENGINES, count, 'EX', ENGINES_SECONDS);
  }

  async engines(): Promise<number> {
    return Number((await this.#redis.get(ENGINES)) ?? 0);
  }
}
