/**
 * A job's steps on the producer, `split` and `stitch`, as BullMQ jobs: each runs once per job at a time, is taken over when
 * its producer dies, and is tried again when it fails. The only importer of BullMQ.
 *
 * BullMQ remembers a step that has ended, so that it is not run twice. A job that is opened again has another epoch, and with it
 * steps of its own.
 *
 * A step is idempotent: BullMQ may run it again from the start. A PermanentError is not tried again; a NotNowError is no attempt.
 */
import { DelayedError, type Job, Queue, UnrecoverableError, WaitingError, Worker } from 'bullmq';

import type { Redis } from '../../shared/redis/redis.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import type { Log } from '../../shared/runtime/log.ts';

export type Step = 'split' | 'stitch';

/** A producer that is killed is no fault of the step. */
const STALLS_MAX = 20;
const ATTEMPTS_MAX = 4;
const RETRY_DELAY_MS = 2_000;
/** A killed producer's step is taken over after this long and one or two looks. Renewed at half of it. */
const LOCK_MS = 10_000;
const LOOK_FOR_STALLED_MS = 5_000;

/** Whose step it is: a job, as opened at one time. */
export interface StepJob {
  readonly jobId: string;
  readonly epoch: number;
}

/** Thrown by a step that has to wait for something: others go first, and it comes again. */
export class NotNowError extends Error {
  readonly restMs: number;

  constructor(message: string, { restMs }: { readonly restMs: number }) {
    super(message);
    this.name = 'NotNowError';
    this.restMs = restMs;
  }
}

export interface StepHandler {
  run(job: StepJob, signal: AbortSignal): Promise<void>;
  /** The step failed for the last time. */
  failed(job: StepJob, error: unknown): Promise<void>;
}

export class Steps {
  readonly #redis: Redis;
  readonly #log: Log;
  readonly #queues: Record<Step, Queue<StepJob>>;
  readonly #workers: Worker<StepJob>[] = [];

  constructor({ redis, log }: { readonly redis: Redis; readonly log: Log }) {
    this.#redis = redis;
    this.#log = log;
    const queue = (step: Step) => {
      const opened = new Queue<StepJob>(queueName(step), {
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

  /** Starts a step of a job. A second call for the same job and epoch changes nothing. */
  async add(step: Step, { jobId, epoch }: StepJob): Promise<void> {
    await this.#queues[step].add(step, { jobId, epoch }, { jobId: `${step}-${jobId}-${epoch}` });
  }

  /** Begins to process a step, at most `concurrency` jobs at once. */
  process(
    step: Step,
    handler: StepHandler,
    { concurrency, signal }: { readonly concurrency: number; readonly signal: AbortSignal },
  ): void {
    const worker = new Worker<StepJob>(
      queueName(step),
      (job, token) => this.#attempt({ step, handler, job, token, signal }),
      {
        connection: this.#redis,
        concurrency,
        lockDuration: LOCK_MS,
        stalledInterval: LOOK_FOR_STALLED_MS,
        maxStalledCount: STALLS_MAX,
      },
    );
    worker.on('error', (error) => this.#log.warn({ error, step }, 'step worker failed'));
    // A worker that is closing takes nothing new, least of all what it has just handed back.
    signal.addEventListener('abort', () => void worker.close(), { once: true });
    // A step that stalled too often is failed by BullMQ itself.
    worker.on('failed', (job, error) => void this.#endStalled(job, { handler, error }));
    this.#workers.push(worker);
  }

  async #attempt({
    step,
    handler,
    job,
    token,
    signal,
  }: {
    step: Step;
    handler: StepHandler;
    job: Job<StepJob>;
    token: string | undefined;
    signal: AbortSignal;
  }): Promise<void> {
    const { jobId } = job.data;
    this.#log.debug({ step, jobId, attempt: job.attemptsMade + 1 }, 'step started');
    try {
      await handler.run(job.data, signal);
    } catch (error) {
      if (signal.aborted) {
        // Stopping is no failure: the step goes back untouched, for the next producer.
        await job.moveToWait(token);
        throw new WaitingError('the producer is stopping');
      }
      if (error instanceof NotNowError) {
        this.#log.debug({ error, step, jobId }, 'step waits');
        await job.moveToDelayed(Date.now() + error.restMs, token);
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

  async #endStalled(
    job: Job<StepJob> | undefined,
    { handler, error }: { readonly handler: StepHandler; readonly error: Error },
  ): Promise<void> {
    try {
      if (job === undefined || error instanceof UnrecoverableError) return; // Told already, in the attempt.
      if (await job.isFailed()) await handler.failed(job.data, error);
    } catch (failure) {
      this.#log.warn({ error: failure }, 'the end of a step could not be told');
    }
  }

  /** Waits for steps in progress to hand themselves back: the signal given to `process` must have been aborted. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#workers.map((worker) => worker.close()));
    await Promise.allSettled(Object.values(this.#queues).map((queue) => queue.close()));
  }
}

function queueName(step: Step): string {
  return `framefleet-${step}`;
}
