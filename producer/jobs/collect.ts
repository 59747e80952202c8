/**
 * Receives result messages and records their frames in the ledger. Starts the stitch when every frame is resolved, splits a source again
 * whose pieces are not as planned, and fails a job that has too many failed frames. A duplicate or late result changes nothing.
 */
import type { WorkQueue } from '../../shared/azure/work-queue.ts';
import { type ResultMessage, decodeMessage, resultMessage } from '../../shared/contract/messages.ts';
import type { JobTimes } from '../../shared/redis/job-times.ts';
import type { LedgerJob } from '../../shared/redis/ledger-job.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import type { WorkRates } from '../../shared/redis/work-rates.ts';
import { backoffMs } from '../../shared/runtime/backoff.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { ProducerMetrics } from '../metrics.ts';
import { failJob } from './fail-job.ts';
import { failedFramesError } from './failed-frames.ts';
import { splitAgain } from './split-again.ts';
import type { Steps } from './steps.ts';
import { isResolved, stitchIfResolved } from './stitch-when-resolved.ts';

const RESULT_LEASE_SECONDS = 30;
/** A message from a newer release stays on the queue for a newer producer. */
const NEWER_DELAY_SECONDS = 60;
/** A result that still fails after this many attempts, half a minute apart (twelve hours), is dropped. */
const DELIVERIES_MAX = 1_440;
/** If Redis is down, each result fails once and becomes visible again when its lease ends. */
const AFTER_FAILURE_MS = 500;
/** Polling stays frequent while a job is open, because a job cannot complete before its last result is collected. */
const REST_BUSY = { minMs: 400, maxMs: 600 };
const REST_IDLE = { minMs: 500, maxMs: 5_000 };

export interface CollectorOptions {
  readonly results: WorkQueue;
  readonly ledger: Ledger;
  readonly steps: Steps;
  readonly times: JobTimes;
  readonly workRates: WorkRates;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: ProducerMetrics;
}

export class Collector {
  readonly #options: CollectorOptions;
  #misses = 0;

  constructor(options: CollectorOptions) {
    this.#options = options;
  }

  /** Processes one message. Returns how long to rest, in milliseconds. */
  async pass(): Promise<number> {
    const { results, ledger } = this.#options;
    const message = await results.receive({ visibilityTimeoutSeconds: RESULT_LEASE_SECONDS });
    if (message === undefined) {
      this.#misses += 1;
      const rest = (await ledger.hasOpenJobs()) ? REST_BUSY : REST_IDLE;
      return backoffMs(this.#misses, rest, Math.random());
    }
    this.#misses = 0;
    const decoded = decodeMessage(message.text, resultMessage);
    switch (decoded.kind) {
      case 'valid':
        if (!(await this.#tryToRecord(decoded.message, message.dequeueCount))) return AFTER_FAILURE_MS;
        break;
      case 'newer':
        await results.update(message, { visibilityTimeoutSeconds: NEWER_DELAY_SECONDS });
        return 0;
      case 'malformed':
        this.#options.metrics.messagesRefused.inc({ queue: results.name });
        this.#options.log.warn(
          { messageId: message.messageId, reason: decoded.reason },
          'result message removed: malformed',
        );
        break;
    }
    await results.remove(message);
    return 0;
  }

  /**
   * Returns whether to remove the message. A result that fails stays on the queue and becomes visible again when its lease ends,
   * so it does not block other results. After the last attempt it is dropped: storage holds the same outcomes.
   */
  async #tryToRecord(result: ResultMessage, dequeueCount: number): Promise<boolean> {
    const { jobId, batchIndex } = result;
    try {
      await this.#record(result);
      return true;
    } catch (error) {
      const isDropped = dequeueCount >= DELIVERIES_MAX;
      this.#options.log.warn({ jobId, batchIndex, dequeueCount, isDropped, error }, 'result not recorded');
      return isDropped;
    }
  }

  async #record(result: ResultMessage): Promise<void> {
    const { ledger, clock, log, metrics } = this.#options;
    const { jobId, batchIndex, scored } = result;
    const job = await ledger.job(jobId);
    if (job === undefined) {
      log.warn({ jobId, batchIndex }, 'result ignored: unknown job');
      return;
    }
    const { splitNumber } = result;
    if (splitNumber !== job.splitNumber) {
      log.info({ jobId, batchIndex, splitNumber }, 'result ignored: it is of another split');
      return;
    }
    const { epoch } = job.definition;
    // Scored frames are in storage whatever the epoch. Failures from an earlier epoch may have been redriven since.
    const failed = result.epoch < epoch ? [] : result.failed;
    const { newlyScored, newlyFailed, newlyFailedByGroup } = await ledger.resolve(job, {
      batchIndex,
      scored,
      failed,
      underway: result.underway,
      nowMs: clock.now().getTime(),
    });
    if (result.delaySeconds !== undefined) await this.#noteDelay(result, result.delaySeconds);
    metrics.framesScored.inc(newlyScored);
    for (const [group, { kind }] of failed.entries()) {
      metrics.framesFailed.inc({ kind }, newlyFailedByGroup[group] ?? 0);
    }
    await this.#recordTimes(job, result);
    log[newlyScored + newlyFailed > 0 ? 'info' : 'debug'](
      { jobId, batchIndex, worker: result.worker, newlyScored, newlyFailed, wallSeconds: result.wallSeconds },
      'result recorded',
    );
    if (newlyFailed > 0) await this.#failIfTooManyFailed(job);
    await stitchIfResolved(this.#options, jobId);
    if (result.mismatch !== undefined) await this.#splitAgain(job, result.mismatch);
  }

  async #recordTimes(job: LedgerJob, result: ResultMessage): Promise<void> {
    const { ledger, times, workRates, clock } = this.#options;
    const { megapixels, wallSeconds } = result;
    const { model, contextFrames = 0 } = job.definition;
    await times.add(job, {
      ...result,
      inferSeconds: result.stageSeconds.infer,
      nowMs: clock.now().getTime(),
    });
    if (result.framesRun === 0 || wallSeconds === 0) return;
    await ledger.recordRate(model.name, megapixels / wallSeconds);
    const again = result.batchIndex === 0 ? 0 : contextFrames * job.megapixelsPerFrame;
    await workRates.record(`model:${model.name}`, megapixels + again, wallSeconds);
  }

  /** A mismatch of a duplicate delivery may come when all frames are scored: then one worker is at fault, not the pieces. */
  async #splitAgain(before: LedgerJob, mismatch: string): Promise<void> {
    const job = await this.#options.ledger.job(before.jobId);
    if (job?.state === 'running' && !isResolved(job)) await splitAgain(this.#options, job, mismatch);
  }

  /** A delayed batch is invisible to workers, so it does not count toward the dispatch window. */
  async #noteDelay({ jobId, batchIndex }: ResultMessage, delaySeconds: number): Promise<void> {
    const { ledger, clock } = this.#options;
    const nowMs = clock.now().getTime();
    await ledger.delay(jobId, batchIndex, { nowMs, untilMs: nowMs + delaySeconds * 1000 });
  }

  async #failIfTooManyFailed({ jobId, definition }: LedgerJob): Promise<void> {
    const { ledger } = this.#options;
    const job = await ledger.job(jobId);
    if (job === undefined) return;
    const error = failedFramesError(job, await ledger.failures(jobId));
    if (error !== null) await failJob(this.#options, { jobId, epoch: definition.epoch }, error);
  }
}
