/**
 * The job status, `results/<jobId>/status.json`, for users who can read the media account.
 *
 * Written when it changes. Several producers publish: each writes only over the version that it knew before it read the ledger, so that
 * no write replaces a newer state.
 */
import { isDeepStrictEqual } from 'node:util';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { statusBlob } from '../../shared/contract/blob-names.ts';
import { type JobStatus, isTerminal, jobStatus } from '../../shared/contract/job.ts';
import { parseJson } from '../../shared/contract/parse-json.ts';
import type { JobTimes } from '../../shared/redis/job-times.ts';
import {
  type LedgerJob,
  type UnreadableJob,
  isPaused,
  unreadableJobError,
} from '../../shared/redis/ledger-job.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import type { Spending } from '../../shared/redis/spending.ts';
import type { WorkRates } from '../../shared/redis/work-rates.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import { type FleetError, PermanentError, errorCodeFrom } from '../../shared/runtime/errors.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { ProducerMetrics } from '../metrics.ts';
import { forEachJob } from './for-each-job.ts';
import { JobPaces } from './job-paces.ts';
import { putReport } from './report.ts';
import { heldAtCap } from './spending-cap.ts';
import type { Pace } from './time-left.ts';

const PASS_MS = 250;
/** Between two writes that show progress only. */
const PROGRESS_MS = 1_000;
const JSON_BLOB = { contentType: 'application/json' };

export interface StatusPublisherOptions {
  readonly blobs: BlobStore;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly spending: Pick<Spending, 'ofJobs' | 'ofJob'>;
  readonly times: JobTimes;
  readonly workRates: WorkRates;
  readonly log: Log;
  readonly metrics: ProducerMetrics;
  /** Called when a job has ended, before it is closed. Called again if a producer dies in between. */
  readonly onEnded: (job: LedgerJob) => Promise<void>;
  /** Called in each pass with all open jobs. */
  readonly onOpen?: (jobs: readonly OpenJob[]) => void;
}

/** An open job with its status as of now. */
export interface OpenJob {
  readonly job: LedgerJob;
  readonly status: JobStatus;
}

interface StoredStatus {
  /** Without its time; undefined if there is none or it cannot be read. */
  readonly status: JobStatus | undefined;
  /** `null` if there is no status. */
  readonly etag: string | null;
  /** When this producer wrote it; undefined if it did not. */
  readonly writtenAtMs?: number;
}

export class StatusPublisher {
  readonly #options: StatusPublisherOptions;
  /** The stored statuses of open jobs, as far as known, and their etags. */
  readonly #stored = new Map<string, StoredStatus>();
  readonly #paces: JobPaces;
  /** Of all open jobs, for `onOpen`. */
  readonly #latest = new Map<string, OpenJob>();

  constructor(options: StatusPublisherOptions) {
    this.#options = options;
    this.#paces = new JobPaces(options);
  }

  /** Publishes every status that has changed. Returns how long to rest, in milliseconds. */
  async pass(): Promise<number> {
    const { ledger, spending, metrics, log, onOpen } = this.#options;
    const { jobs, unreadableJobs } = await ledger.openRecords();
    metrics.jobsOpen.set(jobs.length);
    const open = new Set(jobs.map(({ jobId }) => jobId));
    for (const jobId of this.#stored.keys()) if (!open.has(jobId)) this.#stored.delete(jobId);
    this.#paces.forgetAllBut(open);
    const spent = await spending.ofJobs(jobs.map(({ jobId }) => jobId));
    const publish = (job: LedgerJob): Promise<void> => this.#publish(job, spent.get(job.jobId) ?? 0);
    await forEachJob(jobs, publish, { log, doing: 'publishing the status' });
    for (const jobId of this.#latest.keys()) if (!open.has(jobId)) this.#latest.delete(jobId);
    onOpen?.([...this.#latest.values()]);
    await forEachJob(unreadableJobs, (job) => this.#failUnreadable(job), { log, doing: 'failing the job' });
    return PASS_MS;
  }

  /** Publishes a final status first: intake does not open a job again whose status is `failed`. */
  async #failUnreadable(job: UnreadableJob): Promise<void> {
    const { blobs, ledger, clock, log, metrics } = this.#options;
    const { jobId } = job;
    const error = unreadableJobError(job);
    await publishRefusal(blobs, { jobId, error, now: clock.now() });
    await ledger.discard(jobId);
    metrics.jobsEnded.inc({ state: 'failed' });
    log.error({ jobId, error }, 'job failed: ledger record cannot be read');
  }

  async #publish(job: LedgerJob, spent: number): Promise<void> {
    const { blobs, ledger, clock, metrics, onEnded } = this.#options;
    const { jobId } = job;
    const stored = this.#stored.get(jobId);
    const pace = await this.#paces.paceOf(job);
    // A job that is retried has the result of its earlier run until there is a new one.
    const status = { ...statusOf(job, spent, pace), result: job.result ?? stored?.status?.result ?? null };
    this.#latest.set(jobId, { job, status: { ...status, updatedAt: clock.now().toISOString() } });
    if (stored?.status === undefined || hasNews(stored.status, status)) {
      const isSoon = clock.monotonicMs() < (stored?.writtenAtMs ?? -Infinity) + PROGRESS_MS;
      if (isSoon && stored?.status?.state === status.state) return;
      if (job.state === 'failed' && job.framesFailed > 0) await putReport(this.#options, job, null);
      const etag = stored && (await this.#replace(status, stored.etag));
      if (etag === undefined) {
        // In this order: a version that is known before the ledger is read is not newer than the ledger.
        this.#stored.set(jobId, await readStored(blobs, jobId));
        const now = (await ledger.isOpen(jobId)) ? await ledger.job(jobId) : undefined;
        return now && this.#publish(now, spent);
      }
      this.#stored.set(jobId, { status, etag, writtenAtMs: clock.monotonicMs() });
    }
    if (!isTerminal(job.state)) return;
    const now = await ledger.job(jobId);
    // A job that has changed since is published in the next pass.
    if (now === undefined || !isSameState(now, job)) return;
    await onEnded(job);
    if (await ledger.close(jobId, job.definition.epoch)) metrics.jobsEnded.inc({ state: job.state });
  }

  async #replace(status: JobStatus, etag: string | null): Promise<string | undefined> {
    const { blobs, clock } = this.#options;
    const content = encode({ ...status, updatedAt: clock.now().toISOString() });
    return blobs.replace('results', statusBlob(status.jobId), content, { ...JSON_BLOB, onlyIfEtag: etag });
  }
}

/** Whether the job is in the same state and has not been reopened. */
function isSameState(now: LedgerJob, before: LedgerJob): boolean {
  return now.state === before.state && now.definition.epoch === before.definition.epoch;
}

async function readStored(blobs: BlobStore, jobId: string): Promise<StoredStatus> {
  const version = await blobs.getVersion('results', statusBlob(jobId));
  const status = parseStatus(version?.bytes);
  return { status: status && withoutTime(status), etag: version?.etag ?? null };
}

function withoutTime(status: JobStatus): JobStatus {
  return { ...status, updatedAt: new Date(0).toISOString() };
}

/** The pace changes all the time, and readers count down by themselves: it is written with other news. */
function hasNews(before: JobStatus, status: JobStatus): boolean {
  const isPaceNew = (before.pace === null) !== (status.pace === null);
  return isPaceNew || !isDeepStrictEqual({ ...before, pace: null }, { ...status, pace: null });
}

/** `updatedAt` is not set yet. */
function statusOf(job: LedgerJob, spent: number, pace: Pace | null): Omit<JobStatus, 'result'> {
  const held = heldAtCap(job, spent);
  return {
    version: 1,
    jobId: job.jobId,
    state: job.state,
    frames: {
      expected: job.framesExpected,
      split: job.framesSplit,
      scored: job.framesScored,
      failed: job.framesFailed,
      underway: Math.min(job.framesUnderway, framesLeft(job)),
      stitched: job.framesStitched,
    },
    // A job that waits for a higher cap makes no progress.
    pace: held === null ? pace && roundedPace(pace) : null,
    scoringSince: job.scoringSinceMs === undefined ? null : new Date(job.scoringSinceMs).toISOString(),
    updatedAt: new Date(0).toISOString(),
    warnings: [...job.warnings],
    heldAtCap: held,
    pausedSince: isPaused(job) ? new Date(job.pausedAtMs).toISOString() : null,
    spent: Number(spent.toPrecision(3)),
    error: job.error ?? null,
  };
}

function roundedPace({ framesPerSecond, secondsLeft }: Pace): Pace {
  return { framesPerSecond: Number(framesPerSecond.toPrecision(3)), secondsLeft: Math.round(secondsLeft) };
}

function framesLeft({ framesExpected, framesScored, framesFailed }: LedgerJob): number {
  return Math.max(0, framesExpected - framesScored - framesFailed);
}

export interface JobRefusal {
  readonly jobId: string;
  readonly error: FleetError;
  readonly now: Date;
}

/** Publishes the status of a job that could not be opened. What an earlier run of it has done, and its result, stay. */
export async function publishRefusal(blobs: BlobStore, { jobId, error, now }: JobRefusal): Promise<void> {
  const before = (await readStatus(blobs, jobId)) ?? statusBeforeWork(jobId, now.toISOString());
  await putStatus(blobs, {
    ...before,
    state: error.code === 'JOB_CANCELLED' ? 'cancelled' : 'failed',
    updatedAt: now.toISOString(),
    pace: null,
    heldAtCap: null,
    pausedSince: null,
    error: { code: error.code, message: error.message, hint: error.hint ?? null },
  });
}

/** The status of a job that no producer has accepted yet. */
export function statusBeforeWork(jobId: string, updatedAt: string): JobStatus {
  return {
    version: 1,
    jobId,
    state: 'waiting',
    frames: { expected: 0, split: 0, scored: 0, failed: 0, underway: 0, stitched: 0 },
    pace: null,
    scoringSince: null,
    updatedAt,
    warnings: [],
    heldAtCap: null,
    pausedSince: null,
    spent: 0,
    result: null,
    error: null,
  };
}

/** Sets the status of an ended job to `waiting` until it is open again. Its result stays until there is a new one. */
export async function publishReopening(blobs: BlobStore, status: JobStatus, now: Date): Promise<void> {
  await putStatus(blobs, {
    ...status,
    state: 'waiting',
    updatedAt: now.toISOString(),
    pace: null,
    heldAtCap: null,
    error: null,
  });
}

/** Undefined if there is no status or it cannot be read. */
export async function readStatus(blobs: BlobStore, jobId: string): Promise<JobStatus | undefined> {
  return parseStatus(await blobs.get('results', statusBlob(jobId)));
}

function parseStatus(bytes: Buffer | undefined): JobStatus | undefined {
  return jobStatus.safeParse(parseJson(String(bytes))).data;
}

/** The error of a failed job, for a command that waits for its result. `hint` is the fallback if the status has none. */
export function failureOf({ error }: JobStatus, { hint }: { readonly hint?: string } = {}): PermanentError {
  const next = error?.hint ?? hint;
  return new PermanentError(
    errorCodeFrom(error?.code ?? 'INTERNAL'),
    error?.message ?? 'The job failed.',
    next === undefined ? {} : { hint: next },
  );
}

async function putStatus(blobs: BlobStore, status: JobStatus): Promise<void> {
  await blobs.put('results', statusBlob(status.jobId), encode(status), JSON_BLOB);
}

function encode(status: JobStatus): string {
  return JSON.stringify(status, undefined, 2);
}
