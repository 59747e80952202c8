/**
 * The ledger: where every job stands, in Redis. An index only: storage is the truth, and a lost ledger is rebuilt from it.
 *
 * Memory a job: one bit a frame, an entry a failed frame, and an entry for each batch on the queue. A job's state goes
 * through one gate (`mayMove` of the contract), held in Redis, so that two producers cannot disagree.
 */
import type { Redis } from 'ioredis';

import { type JobState, JOB_STATES, isTerminal, mayMove } from '../contract/job.ts';
import {
  type ClaimedBatch,
  type FrameFailure,
  type FrameOutcomes,
  type JobDefinition,
  type JobError,
  type JobResult,
  type LedgerJob,
  NO_CAP,
  type Resolved,
  type UnreadableJob,
  frameCount,
  frameFailure,
  readRecord,
  unreadable,
} from './ledger-job.ts';
import { CLAIM, CLOSE, FORGET, MOVE, OPEN, REQUEUE_STALE, RESOLVE, SET_CAP } from './ledger-scripts.ts';

const PREFIX = 'framefleet:';
const OPEN_JOBS = `${PREFIX}open-jobs`;
const RATES = `${PREFIX}rates`;
const ENGINES = `${PREFIX}engines`;
/** A closed job stays known for this long; after that its `status.json` still tells. */
const CLOSED_JOB_SECONDS = 7 * 24 * 3600;
/** Longer than any delay of a batch. */
const DELAYED_SECONDS = 2 * 3600;
/** A scaler that has not reported for so long is taken to run nothing. */
const ENGINES_SECONDS = 60;
/** Weight of the newest measurement in a rate: follows a change within some ten batches. */
const RATE_SMOOTHING = 0.2;

export class Ledger {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** Returns false where the job was known already. */
  async open(definition: JobDefinition): Promise<boolean> {
    const { jobId } = definition.request;
    const keys = [OPEN_JOBS, ...keysOf(jobId)];
    const args = [jobId, JSON.stringify(definition), String(definition.epoch)];
    return (await this.#redis.eval(OPEN, keys.length, ...keys, ...args)) === 1;
  }

  /** Open or closed. */
  async isKnown(jobId: string): Promise<boolean> {
    return (await this.#redis.hexists(jobKey(jobId), 'definition')) === 1;
  }

  /** Whether the job is not closed: its end, if it has come to one, is not told yet. */
  async isOpen(jobId: string): Promise<boolean> {
    return (await this.#redis.zscore(OPEN_JOBS, jobId)) !== null;
  }

  /** Throws JOB_INVALID where its record cannot be read. */
  async job(jobId: string): Promise<LedgerJob | undefined> {
    const record = await this.#record(jobId);
    if (record === undefined || 'definition' in record) return record;
    throw unreadable(record);
  }

  /** Jobs that are not closed and whose records can be read, oldest first. */
  async openJobs(): Promise<LedgerJob[]> {
    return (await this.openRecords()).jobs;
  }

  /** As `openJobs`, with the open jobs whose records cannot be read. Each of those has to be ended. */
  async openRecords(): Promise<{ jobs: LedgerJob[]; unreadableJobs: UnreadableJob[] }> {
    const ids = await this.#redis.zrange(OPEN_JOBS, '0', '-1');
    const records = await Promise.all(ids.map((jobId) => this.#record(jobId)));
    const known = records.filter((record) => record !== undefined);
    return {
      jobs: known.filter((record) => 'definition' in record),
      unreadableJobs: known.filter((record) => 'reason' in record),
    };
  }

  /** Removes a job, open or closed, without reading its record: for a record that cannot be read. */
  async discard(jobId: string): Promise<void> {
    await this.#redis
      .multi()
      .zrem(OPEN_JOBS, jobId)
      .del(...keysOf(jobId))
      .exec();
  }

  async #record(jobId: string): Promise<LedgerJob | UnreadableJob | undefined> {
    const answers = await this.#redis
      .multi()
      .hgetall(jobKey(jobId))
      .zcard(jobKey(jobId, 'dispatched'))
      .llen(jobKey(jobId, 'again'))
      .lrange(jobKey(jobId, 'warnings'), 0, -1)
      .zrange(jobKey(jobId, 'delayed'), '0', '-1', 'WITHSCORES')
      .exec();
    return readRecord(jobId, answers ?? []);
  }

  /**
   * Returns false where the job is in a state that does not allow it: another producer was quicker. With an epoch, also where
   * the job has been opened again since.
   */
  async move(
    jobId: string,
    to: JobState,
    {
      epoch,
      ...fields
    }: { readonly error?: JobError; readonly result?: JobResult; readonly epoch?: number } = {},
  ): Promise<boolean> {
    const set = Object.entries(fields).flatMap(([name, value]) => [name, JSON.stringify(value)]);
    const from = JOB_STATES.filter((state) => mayMove(state, to));
    const args = [epoch ?? '', to, ...set, '--', ...from];
    return (await this.#redis.eval(MOVE, 1, jobKey(jobId), ...args)) === 1;
  }

  /** Forgets a terminal job after a while, and lists it no longer. Nothing where it has been opened again since. */
  async close(jobId: string, epoch: number): Promise<void> {
    const terminal = JOB_STATES.filter(isTerminal);
    const keys = [OPEN_JOBS, ...keysOf(jobId)];
    await this.#redis.eval(CLOSE, keys.length, ...keys, jobId, epoch, CLOSED_JOB_SECONDS, ...terminal);
  }

  /** Forgets a closed job at once, so that it may be opened again. Returns false where it is open. */
  async forget(jobId: string): Promise<boolean> {
    const keys = [OPEN_JOBS, ...keysOf(jobId)];
    return (await this.#redis.eval(FORGET, keys.length, ...keys, jobId)) === 1;
  }

  /** The batch size is fixed by the first to say it: a batch's index must mean the same frames for ever. */
  async planSplit(
    jobId: string,
    {
      batchSize,
      ...plan
    }: { readonly batchSize: number; readonly framesExpected: number; readonly megapixelsPerFrame: number },
  ): Promise<void> {
    const fields = { ...plan, framesExpected: frameCount(plan.framesExpected) };
    await this.#redis
      .multi()
      .hsetnx(jobKey(jobId), 'batchSize', frameCount(batchSize))
      .hset(jobKey(jobId), fields)
      .exec();
  }

  /** Frames 0 to `framesSplit - 1` are stored. */
  async recordSplit(jobId: string, framesSplit: number): Promise<void> {
    await this.#redis.hset(jobKey(jobId), 'framesSplit', frameCount(framesSplit));
  }

  async finishSplit(jobId: string, count: number): Promise<void> {
    await this.#redis.hset(jobKey(jobId), {
      framesExpected: frameCount(count),
      framesSplit: frameCount(count),
      splitFinished: '1',
    });
  }

  /** In place of what was asked for; null lifts it. Returns false where the job is not open. */
  async setCap(jobId: string, spendingMax: number | null): Promise<boolean> {
    return (await this.#redis.eval(SET_CAP, 1, jobKey(jobId), spendingMax ?? NO_CAP)) === 1;
  }

  /** A warning is said once, however often it is found. */
  async warn(jobId: string, sentence: string): Promise<void> {
    const key = jobKey(jobId, 'warnings');
    const warning = this.#redis.multi().lrem(key, 0, sentence).rpush(key, sentence);
    if ((await this.#redis.zscore(OPEN_JOBS, jobId)) === null) warning.expire(key, CLOSED_JOB_SECONDS);
    await warning.exec();
  }

  /** The next batch of the job that is ready and has something left to do; it counts as dispatched from now on. */
  async claimBatch(jobId: string, nowMs: number): Promise<ClaimedBatch | undefined> {
    const keys = [
      jobKey(jobId),
      jobKey(jobId, 'resolved'),
      jobKey(jobId, 'dispatched'),
      jobKey(jobId, 'again'),
    ];
    const claimed = (await this.#redis.eval(CLAIM, 4, ...keys, nowMs)) as number[];
    const [batchIndex, frameStart, frameEnd] = claimed;
    if (batchIndex === undefined || frameStart === undefined || frameEnd === undefined) return undefined;
    return { batchIndex, frameStart, frameEnd };
  }

  /** Batches on the queue that nobody has got any further with since a time are made ready again. Returns how many. */
  async requeueStale(jobId: string, olderThanMs: number): Promise<number> {
    const keys = [jobKey(jobId, 'dispatched'), jobKey(jobId, 'again')];
    return (await this.#redis.eval(REQUEUE_STALE, 2, ...keys, olderThanMs)) as number;
  }

  /** A batch on the queue is not visible until then: it was released with a delay. */
  async delay(jobId: string, batchIndex: number, delay: { nowMs: number; untilMs: number }): Promise<void> {
    const key = jobKey(jobId, 'delayed');
    await this.#redis
      .multi()
      .zremrangebyscore(key, '-inf', delay.nowMs)
      .zadd(key, delay.untilMs, batchIndex)
      .expire(key, DELAYED_SECONDS)
      .exec();
  }

  /** Marks frames as scored or failed; repeating it changes nothing. `batchIndex` is null where no batch told it. */
  async resolve(
    jobId: string,
    {
      batchIndex,
      scored,
      failed,
      nowMs,
    }: FrameOutcomes & { readonly batchIndex: number | null; readonly nowMs: number },
  ): Promise<Resolved> {
    const groups = failed.map(({ kind, message, frames }) => ({
      reason: JSON.stringify({ kind, message }),
      frames,
    }));
    const keys = ['', 'resolved', 'dispatched', 'failures'].map((part) => jobKey(jobId, part));
    const args = [nowMs, batchIndex ?? -1, JSON.stringify(scored), JSON.stringify(groups)];
    const answer = (await this.#redis.eval(RESOLVE, 4, ...keys, ...args)) as number[];
    const [newlyScored = 0, corrected = 0, ...newlyFailedByGroup] = answer;
    const newlyFailed = newlyFailedByGroup.reduce((sum, count) => sum + count, 0);
    return { newlyScored, corrected, newlyFailed, newlyFailedByGroup };
  }

  /**
   * How far frames from `frameIndex` on are scored or failed without a gap: the index behind the last of them. Looks at
   * 1,024 frames at most, so a caller that got on asks again.
   */
  async resolvedUpTo(jobId: string, frameIndex: number): Promise<number> {
    const firstByte = Math.floor(frameIndex / 8);
    const bytes = await this.#redis.getrangeBuffer(jobKey(jobId, 'resolved'), firstByte, firstByte + 127);
    let index = frameIndex;
    while ((((bytes[Math.floor(index / 8) - firstByte] ?? 0) >> (7 - (index % 8))) & 1) === 1) index += 1;
    return index;
  }

  async failure(jobId: string, frameIndex: number): Promise<FrameFailure | undefined> {
    const text = await this.#redis.hget(jobKey(jobId, 'failures'), String(frameIndex));
    return text === null ? undefined : frameFailure.parse(JSON.parse(text));
  }

  /** All failed frames, ascending. */
  async failures(jobId: string): Promise<(FrameFailure & { readonly frameIndex: number })[]> {
    const entries = Object.entries(await this.#redis.hgetall(jobKey(jobId, 'failures')));
    return entries
      .map(([index, text]) => ({ frameIndex: Number(index), ...frameFailure.parse(JSON.parse(text)) }))
      .sort((a, b) => a.frameIndex - b.frameIndex);
  }

  async recordStitched(jobId: string, framesStitched: number): Promise<void> {
    await this.#redis.hset(jobKey(jobId), 'framesStitched', framesStitched);
  }

  /** Follows a model's megapixels per second on one engine, smoothed. */
  async recordRate(model: string, megapixelsPerSecond: number): Promise<void> {
    const before = await this.rate(model);
    const smoothed =
      before === undefined ? megapixelsPerSecond : before + RATE_SMOOTHING * (megapixelsPerSecond - before);
    await this.#redis.hset(RATES, model, smoothed);
  }

  /** Megapixels per second on one engine, or undefined where nobody has run the model yet. */
  async rate(model: string): Promise<number | undefined> {
    const text = await this.#redis.hget(RATES, model);
    const rate = Number(text);
    return rate > 0 && rate < Infinity ? rate : undefined;
  }

  /** The scaler tells how many engines are at work, so that dispatch knows how much to keep on the queue. */
  async recordEngines(count: number): Promise<void> {
    await this.#redis.set(ENGINES, count, 'EX', ENGINES_SECONDS);
  }

  async engines(): Promise<number> {
    return Number((await this.#redis.get(ENGINES)) ?? 0);
  }
}

/** All that is kept of a job, the hash of its fields first. */
function keysOf(jobId: string): string[] {
  return ['', 'resolved', 'dispatched', 'again', 'failures', 'warnings', 'delayed'].map((part) =>
    jobKey(jobId, part),
  );
}

function jobKey(jobId: string, part = ''): string {
  return part === '' ? `${PREFIX}job:${jobId}` : `${PREFIX}job:${jobId}:${part}`;
}
