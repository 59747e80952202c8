/**
 * Sees triggers and bare videos, and opens jobs: from Event Grid's messages, and from a scan of what no message told of.
 *
 * A job is opened once, however often its trigger is seen. One that cannot be opened (no such model, half an upload) gets a
 * status that says why. What storage already holds of a job counts: a lost ledger is rebuilt here.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import type { WorkQueue } from '../../shared/azure/work-queue.ts';
import { jobIdOfTrigger } from '../../shared/contract/blob-names.ts';
import { isTerminal } from '../../shared/contract/job.ts';
import type { LedgerJob } from '../../shared/redis/ledger-job.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { eachJob } from '../jobs/each-job.ts';
import { readStatus } from '../jobs/status.ts';
import type { Steps } from '../jobs/steps.ts';
import type { ProducerMetrics } from '../metrics.ts';
import { type Drop, Drops, dropOf } from './drops.ts';
import { type CreatedBlob, createdBlobs } from './media-event.ts';
import { openJob } from './open-job.ts';

/** Long enough to open a job, short enough that a killed producer's event is soon seen by another. */
const EVENT_LEASE_SECONDS = 60;
const PASS_MS = 500;

export interface IntakeParts {
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
  readonly #parts: IntakeParts;
  readonly #drops: Drops;
  /** Jobs that ended before this ledger knew them: looked at once. */
  readonly #ended = new Set<string>();
  #nextScanAtMs = 0;

  constructor(parts: IntakeParts) {
    this.#parts = parts;
    this.#drops = new Drops(parts);
  }

  /** One event, or a scan where one is due; returns how long to rest. */
  async pass(): Promise<number> {
    if (await this.#takeEvent()) return 0;
    const { clock, scanMs } = this.#parts;
    if (clock.monotonicMs() >= this.#nextScanAtMs) {
      await this.#scan();
      this.#nextScanAtMs = clock.monotonicMs() + scanMs;
    }
    return Math.min(PASS_MS, scanMs);
  }

  async #takeEvent(): Promise<boolean> {
    const { events, log, metrics } = this.#parts;
    const message = await events.receive({ visibilityTimeoutSeconds: EVENT_LEASE_SECONDS });
    if (message === undefined) return false;
    const created = createdBlobs(message.text);
    if (created === undefined) {
      metrics.messagesRefused.inc({ queue: events.name });
      log.warn({ messageId: message.messageId }, 'media event refused: not an event');
    }
    const followed = await Promise.all((created ?? []).map((blob) => this.#follow(blob)));
    // An event that could not be followed comes back after its lease.
    if (followed.every(Boolean)) await events.remove(message);
    return true;
  }

  /** Returns whether the blob need not be looked at again. */
  async #follow({ container, name }: CreatedBlob): Promise<boolean> {
    const drop = dropOf(container, name);
    if (drop !== undefined) return this.#tryToTake(drop);
    const jobId = container === 'incoming' ? jobIdOfTrigger(name) : undefined;
    return jobId === undefined || this.#tryToOpen(jobId);
  }

  async #scan(): Promise<void> {
    const { blobs, ledger, steps, log } = this.#parts;
    for await (const drop of this.#drops.waiting()) await this.#tryToTake(drop);
    for await (const folder of blobs.listFolders('incoming')) {
      const jobId = jobIdOfTrigger(`${folder}/job.json`);
      if (jobId !== undefined) await this.#tryToOpen(jobId);
    }
    // A producer that died between opening a job, or resolving its first frame, and starting the step.
    const startSteps = async (job: LedgerJob): Promise<void> => {
      const { jobId, state, definition, framesScored, framesFailed } = job;
      const { epoch } = definition;
      if (!isTerminal(state)) await steps.add('split', { jobId, epoch });
      if (state === 'running' && framesScored + framesFailed > 0) await steps.add('stitch', { jobId, epoch });
      // It may have been opened again: were its ledger lost now, it would have to be opened once more.
      this.#ended.delete(jobId);
    };
    await eachJob(await ledger.openJobs(), startSteps, { log, doing: 'starting its steps' });
  }

  /** Returns whether it need not be tried again. */
  async #tryToTake(drop: Drop): Promise<boolean> {
    try {
      const taking = await this.#drops.take(drop);
      if (taking.kind === 'taken') return await this.#tryToOpen(taking.jobId);
      return taking.kind === 'left';
    } catch (error) {
      this.#parts.log.warn({ ...drop, error }, 'dropped video could not be taken: it will be tried again');
      return false;
    }
  }

  /** Whatever is wrong with one job must not keep the others waiting. Returns whether it need not be tried again. */
  async #tryToOpen(jobId: string): Promise<boolean> {
    try {
      await this.#open(jobId);
      return true;
    } catch (error) {
      this.#parts.log.warn({ jobId, error }, 'job could not be opened: it will be tried again');
      return false;
    }
  }

  async #open(jobId: string): Promise<void> {
    const { blobs, ledger } = this.#parts;
    if (this.#ended.has(jobId) || (await ledger.isKnown(jobId))) return;
    const status = await readStatus(blobs, jobId);
    const hasEnded = status !== undefined && isTerminal(status.state);
    if (hasEnded || (await openJob(this.#parts, jobId)) === 'refused') this.#ended.add(jobId);
  }
}
