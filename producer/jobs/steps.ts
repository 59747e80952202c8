/**
 * The producer's steps of a job, `split` and `stitch`, as BullMQ jobs. The only file that imports BullMQ.
 *
 * Steps run in the order of their jobs' priorities, and none holds a slot while it waits. A step never runs twice at the same time
 * for the same job. Another producer takes it over when its producer dies, and it is retried when it fails, except after a
 * PermanentError. A StepDeferredError does not count as an attempt. BullMQ remembers finished steps, so they do not run again; a job
 * that is reopened has a new epoch and therefore new steps.
 *
 * Steps must be idempotent: BullMQ may run them again from the start.
 */
import { DelayedError, type Job, Queue, UnrecoverableError, WaitingError, Worker } from 'bullmq';

import type { Priority } from '../../shared/contract/job.ts';
import type { Redis } from '../../shared/redis/redis.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import type { Log } from '../../shared/runtime/log.ts';

export type JobStep = 'split' | 'stitch';

/** High, because a step stalls when its producer is killed, which is not the step's fault. */
const STALLS_MAX = 20;
const ATTEMPTS_MAX = 4;
const RETRY_DELAY_MS = 2_000;
/** After this time plus one or two stalled checks, another producer takes over. BullMQ renews the lock at half of it. */
const LOCK_MS = 10_000;
const STALLED_CHECK_MS = 5_000;
/** How soon the step of a paused job is tried again. */
export const PAUSED_RETRY_MS = 3_000;

/** A split of a job under the epoch in which the job was opened. A redriven job gets a new epoch. */
export interface JobRun {
  readonly jobId: string;
  readonly epoch: number;
  readonly splitNumber: number;
  /** For a second split: why the first is of no use. */
  readonly againBecause?: string;
}

/** The lower, the earlier. */
const STEP_PRIORITIES: Record<Priority, number> = { high: 1, normal: 2, low: 3 };

/** Thrown by a step that must wait, such as for disk space. Other steps run first, and this one is tried again later. */
export class StepDeferredError extends Error {
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs: number) {
    super(message);
    this.name = 'StepDeferredError';
    this.retryAfterMs = retryAfterMs;
  }
}

export interface StepHandler {
  run(run: JobRun, signal: AbortSignal): Promise<void>;
  /** Called after the last failed attempt. */
  failed(run: JobRun, error: unknown): Promise<void>;
}

export interface StepOptions {
  readonly concurrency: number;
  readonly signal: AbortSignal;
}

interface StepAttempt {
  readonly step: JobStep;
  readonly handler: StepHandler;
  readonly job: Job<JobRun>;
  readonly token: string | undefined;
  readonly signal: AbortSignal;
}

export class Steps {
  readonly #redis: Redis;
  readonly #log: Log;
  readonly #queues: Record<JobStep, Queue<JobRun>>;
  readonly #workers: Worker<JobRun>[] = [];

  constructor(redis: Redis, log: Log) {
    this.#redis = redis;
    this.#log = log;
    const queue = (step: JobStep) => {
      const opened = new Queue<JobRun>(queueName(step), {
        connection: redis,
        defaultJobOptions: {
          attempts: ATTEMPTS_MAX,
          backoff: { type: 'exponential', delay: RETRY_DELAY_MS },
          removeOnComplete: { age: 24 * 3600, count: 1000 },
          removeOnFail: { age: 7 * 24 * 3600, count: 1000 },
        },
      });
      opened.on('error', (error) => log.warn({ error, step }, 'step queue failed'));
      return opened;
    };
    this.#queues = { split: queue('split'), stitch: queue('stitch') };
  }

  /** Queues a step of a job. A second call for the same job, epoch and split has no effect. */
  async add(step: JobStep, run: JobRun, priority: Priority): Promise<void> {
    const { jobId, epoch, splitNumber } = run;
    await this.#queues[step].add(step, run, {
      jobId: `${step}-${jobId}-${epoch}-${splitNumber}`,
      priority: STEP_PRIORITIES[priority],
    });
  }

  /** Starts processing a step, for at most `concurrency` jobs at once. */
  process(step: JobStep, handler: StepHandler, { concurrency, signal }: StepOptions): void {
    const worker = new Worker<JobRun>(
      queueName(step),
      (job, token) => this.#attempt({ step, handler, job, token, signal }),
      {
        connection: this.#redis,
        concurrency,
        lockDuration: LOCK_MS,
        stalledInterval: STALLED_CHECK_MS,
        maxStalledCount: STALLS_MAX,
      },
    );
    worker.on('error', (error) => this.#log.warn({ error, step }, 'step worker failed'));
    // A closing worker takes no new steps, not even the ones it has just put back.
    signal.addEventListener('abort', () => void worker.close(), { once: true });
    // BullMQ itself fails a step that has stalled too often.
    worker.on('failed', (job, error) => void this.#failStalled(job, handler, error));
    this.#workers.push(worker);
  }

  async #attempt({ step, handler, job, token, signal }: StepAttempt): Promise<void> {
    const { jobId } = job.data;
    this.#log.debug({ step, jobId, attempt: job.attemptsMade + 1 }, 'step started');
    try {
      await handler.run(job.data, signal);
      this.#log.debug({ step, jobId }, 'step finished');
    } catch (error) {
      if (signal.aborted) {
        // Stopping does not count as a failure. The step goes back to the queue for another producer.
        await job.moveToWait(token);
        throw new WaitingError('the producer is stopping');
      }
      if (error instanceof StepDeferredError) {
        this.#log.debug({ error, step, jobId }, 'step deferred');
        await job.moveToDelayed(Date.now() + error.retryAfterMs, token);
        throw new DelayedError(error.message);
      }
      const attempt = job.attemptsMade + 1;
      const isLast = error instanceof PermanentError || attempt >= ATTEMPTS_MAX;
      this.#log.warn({ error, step, jobId, attempt, isLast }, 'step failed');
      if (!isLast) throw error;
      await handler.failed(job.data, error);
      throw new UnrecoverableError(error instanceof Error ? error.message : String(error));
    }
  }

  async #failStalled(job: Job<JobRun> | undefined, handler: StepHandler, error: Error): Promise<void> {
    try {
      if (job === undefined || error instanceof UnrecoverableError) return; // `#attempt` has already called `failed`.
      if (await job.isFailed()) await handler.failed(job.data, error);
    } catch (failure) {
      this.#log.warn({ error: failure }, 'stalled step could not be marked as failed');
    }
  }

  /** Waits until running steps are back on the queue. Abort the signal passed to `process` first. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#workers.map((worker) => worker.close()));
    await Promise.allSettled(Object.values(this.#queues).map((queue) => queue.close()));
  }
}

function queueName(step: JobStep): string {
  return `framefleet-${step}`;
}
