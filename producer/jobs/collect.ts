/**
 * Takes results from the queue and marks their frames in the ledger; starts the stitch with a job's first result; ends a job
 * whose owner would not want its video any more. A result that comes twice, or late, changes nothing.
 */
import type { WorkQueue } from '../../shared/azure/work-queue.ts';
import { type ResultMessage, decodeMessage, resultMessage } from '../../shared/contract/messages.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import { backoffMs } from '../../shared/runtime/backoff.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { ProducerMetrics } from '../metrics.ts';
import { failJob } from './fail-job.ts';
import { judge } from './judge.ts';
import type { StepJob, Steps } from './steps.ts';

const RESULT_LEASE_SECONDS = 30;
/** A message for a newer producer is left for it. */
const NEWER_DELAY_SECONDS = 60;
/** A result that still cannot be taken after so many deliveries, half a minute apart, is dropped: twelve hours. */
const DELIVERIES_MAX = 1_440;
/** Where it is Redis that is away, each result fails once and then waits for its lease. */
const AFTER_FAILURE_MS = 500;
/** The collector stays quick while a job is open: the end of every job waits for it. */
const REST_BUSY = { minMs: 50, maxMs: 300 };
const REST_IDLE = { minMs: 500, maxMs: 5_000 };

export interface CollectParts {
  readonly results: WorkQueue;
  readonly ledger: Ledger;
  readonly steps: Steps;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: ProducerMetrics;
}

export class Collector {
  readonly #parts: CollectParts;
  #misses = 0;

  constructor(parts: CollectParts) {
    this.#parts = parts;
  }

  async pass(): Promise<number> {
    const { results, ledger } = this.#parts;
    const message = await results.receive({ visibilityTimeoutSeconds: RESULT_LEASE_SECONDS });
    if (message === undefined) {
      this.#misses += 1;
      const isBusy = (await ledger.openJobs()).length > 0;
      return backoffMs(this.#misses, isBusy ? REST_BUSY : REST_IDLE, Math.random());
    }
    this.#misses = 0;
    const decoded = decodeMessage(message.text, resultMessage);
    switch (decoded.kind) {
      case 'valid':
        if (!(await this.#tryToTake(decoded.message, message.dequeueCount))) return AFTER_FAILURE_MS;
        break;
      case 'newer':
        await results.update(message, { visibilityTimeoutSeconds: NEWER_DELAY_SECONDS });
        return 0;
      case 'malformed':
        this.#parts.metrics.messagesRefused.inc({ queue: results.name });
        this.#parts.log.warn({ messageId: message.messageId, reason: decoded.reason }, 'result refused');
        break;
    }
    await results.remove(message);
    return 0;
  }

  /**
   * Returns false where the result could not be taken: it comes back after its lease, and the others are taken meanwhile. One that
   * never can be is dropped in the end: what it tells is in storage, too.
   */
  async #tryToTake(result: ResultMessage, dequeueCount: number): Promise<boolean> {
    const { jobId, batchIndex } = result;
    try {
      await this.#take(result);
      return true;
    } catch (error) {
      const isDropped = dequeueCount >= DELIVERIES_MAX;
      this.#parts.log.warn({ jobId, batchIndex, dequeueCount, isDropped, error }, 'result not taken');
      return isDropped;
    }
  }

  async #take(result: ResultMessage): Promise<void> {
    const { ledger, steps, clock, log, metrics } = this.#parts;
    const { jobId, batchIndex, scored } = result;
    const job = await ledger.job(jobId);
    if (job === undefined) {
      log.warn({ jobId, batchIndex }, 'result of a job that is not known');
      return;
    }
    const { epoch } = job.definition;
    // What is scored is stored. What had failed before the job was opened again may be tried again by now.
    const failed = result.epoch < epoch ? [] : result.failed;
    const { newlyScored, newlyFailed, newlyFailedByGroup } = await ledger.resolve(jobId, {
      batchIndex,
      scored,
      failed,
      nowMs: clock.now().getTime(),
    });
    if (result.delaySeconds !== undefined) await this.#noteDelay(result, result.delaySeconds);
    metrics.framesScored.inc(newlyScored);
    for (const [group, { kind }] of failed.entries()) {
      metrics.framesFailed.inc({ kind }, newlyFailedByGroup[group] ?? 0);
    }
    if (result.framesRun > 0 && result.wallSeconds > 0) {
      await ledger.recordRate(job.definition.model.name, result.megapixels / result.wallSeconds);
    }
    log.info(
      { jobId, batchIndex, worker: result.worker, newlyScored, newlyFailed, wallSeconds: result.wallSeconds },
      'result taken',
    );
    if (newlyFailed > 0) await this.#judge({ jobId, epoch });
    if (newlyScored + newlyFailed > 0) await steps.add('stitch', { jobId, epoch });
  }

  /** It does not count against the window of batches on the queue while no worker can see it. */
  async #noteDelay({ jobId, batchIndex }: ResultMessage, delaySeconds: number): Promise<void> {
    const { ledger, clock } = this.#parts;
    const nowMs = clock.now().getTime();
    await ledger.delay(jobId, batchIndex, { nowMs, untilMs: nowMs + delaySeconds * 1000 });
  }

  /** Ends a job that can no longer become the video its owner asked for. */
  async #judge(opened: StepJob): Promise<void> {
    const { ledger } = this.#parts;
    const job = await ledger.job(opened.jobId);
    if (job === undefined) return;
    const verdict = judge(job, await ledger.failures(opened.jobId));
    if (verdict !== null) await failJob(this.#parts, opened, verdict);
  }
}
