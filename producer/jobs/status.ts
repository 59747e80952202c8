/**
 * `results/<jobId>/status.json`: what people who may read the media account see of a job.
 *
 * Written when something has changed, and after writing looked at again: two producers may write at once, and the last word
 * must be the final one.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { statusBlob } from '../../shared/contract/blob-names.ts';
import { type JobStatus, isTerminal, jobStatus } from '../../shared/contract/job.ts';
import { parseJson } from '../../shared/contract/parse-json.ts';
import { type LedgerJob, type UnreadableJob, unreadableJobError } from '../../shared/redis/ledger-job.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import type { Spending } from '../../shared/redis/spending.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import { type FleetError, PermanentError, errorCodeFrom } from '../../shared/runtime/errors.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { ProducerMetrics } from '../metrics.ts';
import { eachJob } from './each-job.ts';
import { putReport } from './report.ts';
import { hasCap, heldAtCap } from './spending-cap.ts';

const PASS_MS = 500;

export interface StatusParts {
  readonly blobs: BlobStore;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly spending: Pick<Spending, 'ofJobs'>;
  readonly log: Log;
  readonly metrics: ProducerMetrics;
  /** Called for a job that has come to its end, before it is closed: once, unless a producer dies. */
  readonly onEnded: (job: LedgerJob) => Promise<void>;
}

export class StatusPublisher {
  readonly #parts: StatusParts;
  readonly #published = new Map<string, string>();

  constructor(parts: StatusParts) {
    this.#parts = parts;
  }

  async pass(): Promise<number> {
    const { ledger, spending, metrics, log } = this.#parts;
    const { jobs, unreadableJobs } = await ledger.openRecords();
    metrics.jobsOpen.set(jobs.length);
    const spent = await spending.ofJobs(jobs.filter(hasCap).map(({ jobId }) => jobId));
    const publish = (job: LedgerJob): Promise<void> => this.#publish(job, spent.get(job.jobId) ?? 0);
    await eachJob(jobs, publish, { log, doing: 'publishing the status' });
    await eachJob(unreadableJobs, (job) => this.#end(job), { log, doing: 'ending the job' });
    return PASS_MS;
  }

  /** Its status is what intake goes by: a job that has failed is not opened again. */
  async #end(job: UnreadableJob): Promise<void> {
    const { blobs, ledger, clock, log, metrics } = this.#parts;
    const { jobId } = job;
    const error = unreadableJobError(job);
    await publishRefusal(blobs, { jobId, error, now: clock.now() });
    await ledger.discard(jobId);
    metrics.jobsEnded.inc({ state: 'failed' });
    log.error({ jobId, error }, 'job failed: its record in the ledger could not be read');
  }

  async #publish(job: LedgerJob, spent: number): Promise<void> {
    const { blobs, ledger, clock, metrics, onEnded } = this.#parts;
    const content = JSON.stringify(statusOf(job, { spent, updatedAt: new Date(0) }));
    if (this.#published.get(job.jobId) !== content) {
      if (job.state === 'failed' && job.framesFailed > 0) await putReport(this.#parts, job, null);
      await putStatus(blobs, statusOf(job, { spent, updatedAt: clock.now() }));
      this.#published.set(job.jobId, content);
    }
    const now = await ledger.job(job.jobId);
    if (now !== undefined && !isSame(now, job)) return this.#publish(now, spent);
    if (now === undefined || !isTerminal(job.state)) return;
    metrics.jobsEnded.inc({ state: job.state });
    await onEnded(job);
    await ledger.close(job.jobId, job.definition.epoch);
    this.#published.delete(job.jobId);
  }
}

/** Whether a job still is where it was: in the same state, and not opened again. */
function isSame(now: LedgerJob, before: LedgerJob): boolean {
  return now.state === before.state && now.definition.epoch === before.definition.epoch;
}

function statusOf(
  job: LedgerJob,
  { spent, updatedAt }: { readonly spent: number; readonly updatedAt: Date },
): JobStatus {
  return {
    version: 1,
    jobId: job.jobId,
    state: job.state,
    frames: {
      expected: job.framesExpected,
      split: job.framesSplit,
      scored: job.framesScored,
      failed: job.framesFailed,
      stitched: job.framesStitched,
    },
    scoringSince: job.scoringSinceMs === undefined ? null : new Date(job.scoringSinceMs).toISOString(),
    updatedAt: updatedAt.toISOString(),
    warnings: [...job.warnings],
    heldAtCap: heldAtCap(job, spent),
    result: job.result ?? null,
    error: job.error ?? null,
  };
}

/** The status of a job that could not even be opened. */
export async function publishRefusal(
  blobs: BlobStore,
  { jobId, error, now }: { readonly jobId: string; readonly error: FleetError; readonly now: Date },
): Promise<void> {
  await putStatus(blobs, {
    version: 1,
    jobId,
    state: 'failed',
    frames: { expected: 0, split: 0, scored: 0, failed: 0, stitched: 0 },
    scoringSince: null,
    updatedAt: now.toISOString(),
    warnings: [],
    heldAtCap: null,
    result: null,
    error: { code: error.code, message: error.message, hint: error.hint ?? null },
  });
}

/** A job that ended is to be opened again: until it is, its status says that it waits. */
export async function publishReopening(
  blobs: BlobStore,
  status: JobStatus,
  { now }: { readonly now: Date },
): Promise<void> {
  await putStatus(blobs, {
    ...status,
    state: 'waiting',
    updatedAt: now.toISOString(),
    heldAtCap: null,
    result: null,
    error: null,
  });
}

/** Undefined where there is none, or it cannot be read. */
export async function readStatus(blobs: BlobStore, jobId: string): Promise<JobStatus | undefined> {
  const bytes = await blobs.get('results', statusBlob(jobId));
  return jobStatus.safeParse(parseJson(String(bytes))).data;
}

/** The error of a failed job, for a command that waited for its result. `hint` is for a status without one. */
export function failureOf({ error }: JobStatus, { hint }: { readonly hint?: string } = {}): PermanentError {
  const next = error?.hint ?? hint;
  return new PermanentError(
    errorCodeFrom(error?.code ?? 'INTERNAL'),
    error?.message ?? 'The job failed.',
    next === undefined ? {} : { hint: next },
  );
}

async function putStatus(blobs: BlobStore, status: JobStatus): Promise<void> {
  await blobs.put('results', statusBlob(status.jobId), JSON.stringify(status, undefined, 2), {
    contentType: 'application/json',
  });
}
