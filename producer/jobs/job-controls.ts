/**
 * Carries out what operators want of jobs, `control/jobs/<jobId>`: pause, resume, cancel, another priority. A blob that every writer of a
 * control touches says when to look, so that an idle fleet lists nothing.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import type { WorkQueue } from '../../shared/azure/work-queue.ts';
import {
  JOB_CONTROLS_CHANGED_BLOB,
  JOB_CONTROLS_PREFIX,
  controlBlob,
} from '../../shared/contract/blob-names.ts';
import { type JobControl, decodeJobControl, jobIdOfControl } from '../../shared/contract/job-control.ts';
import { isTerminal } from '../../shared/contract/job.ts';
import { type LedgerControl, type LedgerJob, isPaused, priorityOf } from '../../shared/redis/ledger-job.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { forEachJob } from './for-each-job.ts';
import type { FrameRetention } from './frame-retention.ts';
import { recallBatches } from './sift-queue.ts';

/** A cancelled job must stop within seconds. A look is one read of a blob's properties. */
const PASS_MS = 3_000;
/** Messages that a worker has released with a delay appear within this time. */
const RECALL_MS = 180_000;
const RECALL_EVERY_MS = 20_000;
/** Workers stop within ten seconds after a job is cancelled. Until then they may store a segment or a log. */
const LATE_WRITES_MS = 15_000;

export interface JobControlServices {
  readonly blobs: BlobStore;
  readonly ledger: Ledger;
  readonly batches: WorkQueue;
  readonly retention: Pick<FrameRetention, 'schedule'>;
  /** How often to list the controls, even if no writer says that one has changed. */
  readonly scanMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

export class JobControls {
  readonly #services: JobControlServices;
  #etag: string | undefined;
  #nextScanAtMs = 0;
  /** Jobs whose delayed messages may still appear, and until when. */
  readonly #recalled = new Map<string, number>();
  #nextRecallAtMs = 0;

  constructor(services: JobControlServices) {
    this.#services = services;
  }

  /** Returns how long to rest, in milliseconds. */
  async pass(): Promise<number> {
    const { blobs, clock, scanMs } = this.#services;
    const etag = (await blobs.stat('control', JOB_CONTROLS_CHANGED_BLOB))?.etag;
    if (etag !== this.#etag || clock.monotonicMs() >= this.#nextScanAtMs) {
      await this.#applyAll();
      this.#etag = etag;
      this.#nextScanAtMs = clock.monotonicMs() + scanMs;
    }
    if (this.#recalled.size > 0 && clock.monotonicMs() >= this.#nextRecallAtMs) await this.#recall();
    return Math.min(PASS_MS, scanMs);
  }

  async #applyAll(): Promise<void> {
    const { blobs, ledger, log } = this.#services;
    const controlled: { readonly jobId: string }[] = [];
    for await (const { name } of blobs.list('control', { prefix: JOB_CONTROLS_PREFIX })) {
      const jobId = jobIdOfControl(name);
      if (jobId !== undefined) controlled.push({ jobId });
    }
    if (controlled.length === 0) return;
    const open = new Map((await ledger.openJobs()).map((job) => [job.jobId, job]));
    const apply = async ({ jobId }: { readonly jobId: string }): Promise<void> => {
      const job = open.get(jobId);
      const isRecalled = await this.#apply(jobId, job);
      if (isRecalled === undefined) return;
      if (!isRecalled) this.#recalled.delete(jobId);
      else this.#recalled.set(jobId, this.#services.clock.monotonicMs() + RECALL_MS);
      this.#nextRecallAtMs = 0;
    };
    await forEachJob(controlled, apply, { log, doing: 'applying the control' });
  }

  async #recall(): Promise<void> {
    const { clock, log } = this.#services;
    const removed = await recallBatches(this.#services, (jobId) => this.#recalled.has(jobId));
    if (removed > 0) log.info({ jobs: [...this.#recalled.keys()], removed }, 'messages recalled');
    this.#nextRecallAtMs = clock.monotonicMs() + RECALL_EVERY_MS;
    for (const [jobId, untilMs] of this.#recalled)
      if (clock.monotonicMs() >= untilMs) this.#recalled.delete(jobId);
  }

  /** Returns whether messages of the job have to go; undefined if nothing has changed. */
  async #apply(jobId: string, job: LedgerJob | undefined): Promise<boolean | undefined> {
    const { ledger, clock, log } = this.#services;
    const control = await readJobControl(this.#services, jobId);
    if (control === undefined) return undefined;
    if (job === undefined || isTerminal(job.state)) {
      await this.#clean(control);
      return undefined;
    }
    if (control.order === 'cancel') {
      const { code, message, hint = null } = cancelledError(jobId);
      const { epoch } = job.definition;
      if (await ledger.move(jobId, 'cancelled', { error: { code, message, hint }, epoch }))
        log.info({ jobId }, 'job cancelled');
      return true;
    }
    const before = { pausedAtMs: job.pausedAtMs, priority: priorityOf(job) };
    const wanted = ledgerControlOf(control, before, clock.now().getTime());
    const isMoved = control.pauses !== job.pauses || wanted.pausedAtMs > 0 !== isPaused(job);
    if (!isMoved && wanted.priority === before.priority) return undefined;
    await ledger.setControl(jobId, wanted);
    log.info({ jobId, order: control.order, priority: wanted.priority }, 'job control applied');
    if (!isMoved) return undefined;
    // Batches that were on the queue are sent again, once the job goes on. Those that are done by then are skipped.
    await ledger.requeueStale(jobId, Infinity);
    return wanted.pausedAtMs > 0;
  }

  /** Lets the frames of an ended job go as soon as no worker writes any more. */
  async #clean({ jobId, clean }: JobControl): Promise<void> {
    if (clean !== 'frames') return;
    const { blobs, retention, clock, log } = this.#services;
    await retention.schedule({ jobId, dueAtMs: clock.now().getTime() + LATE_WRITES_MS });
    await blobs.remove('control', controlBlob(jobId));
    log.info({ jobId }, 'frames will be removed: requested');
  }
}

/** What the ledger keeps of a control. `before`: what it has, or what the request says. */
export function ledgerControlOf(
  { order, pauses, priority }: JobControl,
  before: Pick<LedgerControl, 'pausedAtMs' | 'priority'>,
  nowMs: number,
): Omit<LedgerControl, 'spendingMax'> {
  const pausedAtMs = order === 'pause' ? before.pausedAtMs || nowMs : 0;
  return { pausedAtMs, pauses, priority: priority ?? before.priority };
}

/** With this error a cancelled job ends. */
export function cancelledError(jobId: string): PermanentError {
  return new PermanentError('JOB_CANCELLED', `The job ${jobId} was cancelled.`, {
    hint: `To run what is left of it: npm run retry -- ${jobId}`,
  });
}

/** Undefined if there is none or it cannot be read. */
export async function readJobControl(
  { blobs, log }: Pick<JobControlServices, 'blobs' | 'log'>,
  jobId: string,
): Promise<JobControl | undefined> {
  const bytes = await blobs.get('control', controlBlob(jobId));
  if (bytes === undefined) return undefined;
  const control = decodeJobControl(bytes.toString('utf8'), jobId);
  if (control === undefined) log.warn({ jobId }, 'job control ignored: cannot be read');
  return control;
}
