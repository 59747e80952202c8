/**
 * Detects triggers and bare videos and opens their jobs: from Event Grid messages, and from a periodic scan for missed events.
 *
 * A job is opened once, however often its trigger is seen. A job that cannot be opened (unknown model, incomplete upload) gets a
 * status with the reason. Frames that storage already holds count, so intake also rebuilds a lost ledger.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import type { WorkQueue } from '../../shared/azure/work-queue.ts';
import { jobIdOfTrigger } from '../../shared/contract/blob-names.ts';
import { isTerminal } from '../../shared/contract/job.ts';
import { type LedgerJob, priorityOf } from '../../shared/redis/ledger-job.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import { backoffMs } from '../../shared/runtime/backoff.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { forEachJob } from '../jobs/for-each-job.ts';
import { openJob } from '../jobs/open-job.ts';
import { readStatus } from '../jobs/status.ts';
import type { Steps } from '../jobs/steps.ts';
import { stitchIfResolved } from '../jobs/stitch-when-resolved.ts';
import type { ProducerMetrics } from '../metrics.ts';
import { type Drop, Drops, dropOf } from './drops.ts';
import { type CreatedBlob, createdBlobs } from './media-event.ts';

/** Long enough to open a job, short enough that another producer soon receives the event of a killed one. */
const EVENT_LEASE_SECONDS = 60;
const REST = { minMs: 250, maxMs: 1_500 };

export interface IntakeOptions {
  readonly blobs: BlobStore;
  readonly events: WorkQueue;
  readonly ledger: Ledger;
  readonly steps: Steps;
  readonly scanMs: number;
  readonly sourceBytesMax: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: ProducerMetrics;
}

export class Intake {
  readonly #options: IntakeOptions;
  readonly #drops: Drops;
  /** Jobs that ended before this ledger existed, so that their status is read only once. */
  readonly #ended = new Set<string>();
  #nextScanAtMs = 0;
  #misses = 0;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#drops = new Drops(options.blobs, options.log);
  }

  /** Handles one event, or scans if a scan is due. Returns how long to rest, in milliseconds. */
  async pass(): Promise<number> {
    if (await this.#handleEvent()) {
      this.#misses = 0;
      return 0;
    }
    this.#misses += 1;
    const { clock, scanMs } = this.#options;
    if (clock.monotonicMs() >= this.#nextScanAtMs) {
      await this.#scan();
      this.#nextScanAtMs = clock.monotonicMs() + scanMs;
    }
    return Math.min(backoffMs(this.#misses, REST, Math.random()), scanMs);
  }

  /** Returns whether there was an event. */
  async #handleEvent(): Promise<boolean> {
    const { events, log, metrics } = this.#options;
    const message = await events.receive({ visibilityTimeoutSeconds: EVENT_LEASE_SECONDS });
    if (message === undefined) return false;
    const created = createdBlobs(message.text);
    if (created === undefined) {
      metrics.messagesRefused.inc({ queue: events.name });
      log.warn({ messageId: message.messageId }, 'media event removed: malformed');
    }
    const handled = await Promise.all((created ?? []).map((blob) => this.#handleBlob(blob)));
    // Otherwise the event becomes visible again when its lease ends.
    if (handled.every(Boolean)) await events.remove(message);
    return true;
  }

  /** Returns whether the blob is done. If not, its event is received again. */
  async #handleBlob({ container, name }: CreatedBlob): Promise<boolean> {
    const drop = dropOf(container, name);
    if (drop !== undefined) return this.#tryToTake(drop);
    const jobId = container === 'incoming' ? jobIdOfTrigger(name) : undefined;
    return jobId === undefined || this.#tryToOpen(jobId);
  }

  async #scan(): Promise<void> {
    const { blobs, ledger, steps, log } = this.#options;
    for await (const drop of this.#drops.waiting()) await this.#tryToTake(drop);
    for await (const folder of blobs.listFolders('incoming')) {
      const jobId = jobIdOfTrigger(`${folder}/job.json`);
      if (jobId !== undefined) await this.#tryToOpen(jobId);
    }
    // A producer may have died after it opened a job, or recorded its last frame, and before it started the step.
    const startSteps = async (job: LedgerJob): Promise<void> => {
      const { jobId, state, splitNumber, definition } = job;
      const { epoch } = definition;
      if (!isTerminal(state)) await steps.add('split', { jobId, epoch, splitNumber }, priorityOf(job));
      await stitchIfResolved({ ledger, steps }, jobId);
      // A redriven job is open again. If Redis is lost now, it must be opened once more.
      this.#ended.delete(jobId);
    };
    await forEachJob(await ledger.openJobs(), startSteps, { log, doing: 'starting the steps' });
  }

  /** Returns false if the drop must be tried again. */
  async #tryToTake(drop: Drop): Promise<boolean> {
    try {
      const taken = await this.#drops.take(drop);
      if (taken.kind === 'taken') return await this.#tryToOpen(taken.jobId);
      return taken.kind === 'left';
    } catch (error) {
      this.#options.log.warn({ ...drop, error }, 'dropped video could not be taken: will retry');
      return false;
    }
  }

  /** Logs an error rather than throwing, so that it does not block other jobs. Returns false if the job must be tried again. */
  async #tryToOpen(jobId: string): Promise<boolean> {
    try {
      await this.#open(jobId);
      return true;
    } catch (error) {
      this.#options.log.warn({ jobId, error }, 'job could not be opened: will retry');
      return false;
    }
  }

  async #open(jobId: string): Promise<void> {
    const { blobs, ledger } = this.#options;
    if (this.#ended.has(jobId) || (await ledger.isKnown(jobId))) return;
    const status = await readStatus(blobs, jobId);
    const hasEnded = status !== undefined && isTerminal(status.state);
    if (hasEnded || (await openJob(this.#options, jobId)) === 'refused') this.#ended.add(jobId);
  }
}
