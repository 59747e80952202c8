/**
 * All jobs of the fleet in memory, for the page: one listing of storage every ten seconds, the open jobs from the passes of the status
 * publisher, and one read of each job that has ended. Storage is read only while a page is open.
 *
 * Ended jobs are read newest first. Until all are read, a filter by state or text misses the older ones: `unread` says how many.
 */
import pLimit from 'p-limit';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { JOB_ID_PATTERN, contactSheetBlob } from '../../shared/contract/blob-names.ts';
import { type JobState, isTerminal } from '../../shared/contract/job.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import { type JobView, readJob } from '../control/job-view.ts';
import type { OpenJob } from '../jobs/status.ts';
import type { JobSummary, JobsPage } from './contract.ts';
import { isOver, isSameSummary, jobSummary, progressMark, viewOfOpen } from './job-summary.ts';

const LISTING_MS = 10_000;
/** How long after the last request the index is kept up to date. */
const WATCHED_MS = 30_000;
const PASS_MS = 1_000;
/** Older jobs are not in the index. */
const JOBS_MAX = 50_000;
const READS_AT_ONCE = 16;
/** Jobs that are read in one pass, so that a change of an open job is not held up by old ones. */
const READS_A_PASS = 200;
/** Between two looks at the contact sheet of a job. */
const SHEET_MS = 5_000;

export interface JobsQuery {
  /** Null: all. */
  readonly states: readonly JobState[] | null;
  /** A part of the id or of the name of the source. */
  readonly search: string | null;
  /** The last job of the page before. */
  readonly before: string | null;
  readonly limit: number;
}

interface IndexedJob {
  readonly summary: JobSummary;
  /** In lower case. */
  readonly words: string;
}

interface Sheet {
  /** The etag of the contact sheet. */
  readonly version: string;
  readonly mark: string;
  readonly lookedAtMs: number;
}

export interface JobIndexOptions {
  readonly blobs: BlobStore;
  readonly clock: Clock;
}

export class JobIndex {
  readonly #blobs: BlobStore;
  readonly #clock: Clock;
  /** Undefined: listed, but not read yet. */
  readonly #jobs = new Map<string, IndexedJob | undefined>();
  /** Folders that are no jobs yet: uploads. */
  readonly #uploads = new Set<string>();
  /** All ids, newest first. */
  #order: readonly string[] = [];
  #open: ReadonlyMap<string, OpenJob> = new Map();
  /** The open jobs that the index has taken over. */
  #merged: ReadonlyMap<string, OpenJob> = new Map();
  /** Jobs that were open before, and whose end is not read yet. */
  readonly #closed = new Set<string>();
  readonly #sheets = new Map<string, Sheet>();
  #changed = new Map<string, JobSummary>();
  #gone = new Set<string>();
  #listedAtMs = -Infinity;
  #watchedAtMs = -Infinity;
  /** The listing in progress. */
  #listing: Promise<void> | undefined;

  constructor({ blobs, clock }: JobIndexOptions) {
    this.#blobs = blobs;
    this.#clock = clock;
  }

  /** Takes note of the open jobs. They are looked at in the next pass. */
  observe(open: readonly OpenJob[]): void {
    this.#open = new Map(open.map((one) => [one.job.jobId, one]));
  }

  openJob(jobId: string): OpenJob | undefined {
    return this.#open.get(jobId);
  }

  /** Brings the index up to date while a page is open. Returns how long to rest, in milliseconds. */
  async pass(): Promise<number> {
    if (this.#clock.monotonicMs() - this.#watchedAtMs > WATCHED_MS) return PASS_MS;
    await this.#list();
    this.#mergeOpen();
    const closed = [...this.#closed];
    const unread = this.#order.filter((jobId) => this.#jobs.get(jobId) === undefined);
    await this.#read([...closed, ...unread.slice(0, READS_A_PASS)]);
    for (const jobId of closed) this.#closed.delete(jobId);
    await this.#lookAtSheets();
    return unread.length > READS_A_PASS ? 0 : PASS_MS;
  }

  /** What has changed since the last call, for those who follow the index. */
  takeChanges(): { readonly changed: readonly JobSummary[]; readonly gone: readonly string[] } {
    const changes = { changed: [...this.#changed.values()], gone: [...this.#gone] };
    this.#changed = new Map();
    this.#gone = new Set();
    return changes;
  }

  /** A page is open: keeps the index up to date for a while. */
  watch(): void {
    this.#watchedAtMs = this.#clock.monotonicMs();
  }

  /** The newest first. */
  async page({ states, search, before, limit }: JobsQuery): Promise<JobsPage> {
    this.watch();
    await this.#list();
    this.#mergeOpen();
    const isFiltered = states !== null || search !== null;
    const text = search?.toLowerCase() ?? '';
    const matches = (jobId: string): boolean => {
      const job = this.#jobs.get(jobId);
      if (job === undefined) return !isFiltered;
      return (states === null || states.includes(job.summary.state)) && job.words.includes(text);
    };
    const found = isFiltered ? this.#order.filter(matches) : this.#order;
    const start = before === null ? 0 : found.findIndex((jobId) => jobId < before);
    const ids = start === -1 ? [] : found.slice(start, start + limit);
    await this.#read(ids.filter((jobId) => this.#jobs.get(jobId) === undefined));
    const jobs = ids.map((jobId) => this.#jobs.get(jobId)?.summary).filter((job) => job !== undefined);
    const unread = this.#order.reduce(
      (count, jobId) => count + (this.#jobs.get(jobId) === undefined ? 1 : 0),
      0,
    );
    const isLast = start === -1 || start + limit >= found.length;
    return { jobs, next: isLast ? null : (ids.at(-1) ?? null), total: found.length, unread };
  }

  /** Reads the job if it is not known. Undefined if it does not exist. */
  async summary(jobId: string): Promise<JobSummary | undefined> {
    this.watch();
    this.#mergeOpen();
    if (this.#jobs.get(jobId) === undefined) await this.#read([jobId]);
    return this.#jobs.get(jobId)?.summary;
  }

  /** Reads the job again: it has just been changed by this page. */
  async refresh(jobId: string): Promise<JobSummary | undefined> {
    if (!this.#open.has(jobId)) await this.#read([jobId]);
    return this.summary(jobId);
  }

  async view(jobId: string): Promise<JobView | undefined> {
    this.watch();
    const open = this.#open.get(jobId);
    return open === undefined ? this.#readOne(jobId) : viewOfOpen(open);
  }

  async #list(): Promise<void> {
    if (this.#clock.monotonicMs() - this.#listedAtMs < LISTING_MS) return;
    this.#listing ??= this.#listNow().finally(() => (this.#listing = undefined));
    await this.#listing;
  }

  async #listNow(): Promise<void> {
    const found: string[] = [];
    for await (const folder of this.#blobs.listFolders('incoming'))
      if (JOB_ID_PATTERN.test(folder)) found.push(folder);
    // A job id starts with the time.
    const ids = new Set(found.toSorted().toReversed().slice(0, JOBS_MAX));
    for (const jobId of this.#jobs.keys()) if (!ids.has(jobId) && !this.#open.has(jobId)) this.#forget(jobId);
    const isFirst = this.#listedAtMs === -Infinity;
    this.#listedAtMs = this.#clock.monotonicMs();
    for (const jobId of ids) {
      if (!this.#jobs.has(jobId) && !this.#uploads.has(jobId)) this.#jobs.set(jobId, undefined);
    }
    for (const jobId of this.#uploads) if (!ids.has(jobId)) this.#uploads.delete(jobId);
    this.#sort();
    // Jobs that no producer has accepted yet may have changed without a trace in the ledger.
    const pending = [...this.#jobs].filter(
      ([jobId, job]) => job !== undefined && !isTerminal(job.summary.state) && !this.#open.has(jobId),
    );
    if (!isFirst) await this.#read([...pending.map(([jobId]) => jobId), ...this.#uploads]);
  }

  /** Takes over the open jobs, and notes those that were open and no longer are. */
  #mergeOpen(): void {
    const now = this.#clock.now();
    for (const jobId of this.#merged.keys()) if (!this.#open.has(jobId)) this.#closed.add(jobId);
    this.#merged = this.#open;
    let isNew = false;
    for (const open of this.#open.values()) {
      isNew ||= !this.#jobs.has(open.job.jobId);
      this.#put(viewOfOpen(open), this.#sheets.get(open.job.jobId)?.version ?? '', now);
    }
    if (isNew) this.#sort();
  }

  async #read(jobIds: readonly string[]): Promise<void> {
    await pLimit(READS_AT_ONCE).map(jobIds, (jobId) => this.#readOne(jobId));
  }

  async #readOne(jobId: string): Promise<JobView | undefined> {
    const view = await readJob(this.#blobs, jobId);
    if (this.#open.has(jobId)) return view;
    if (view === undefined) {
      this.#forget(jobId);
      this.#uploads.add(jobId);
      return undefined;
    }
    this.#uploads.delete(jobId);
    const isKnown = this.#jobs.has(jobId);
    const version = isOver(view) ? lastThumbnailVersion(view) : '';
    if (isOver(view)) this.#sheets.delete(jobId);
    this.#put(view, version, this.#clock.now());
    if (!isKnown) this.#sort();
    return view;
  }

  #put(view: JobView, thumbnailVersion: string, now: Date): void {
    const { jobId } = view;
    const before = this.#jobs.get(jobId);
    const summary = jobSummary(view, thumbnailVersion, now);
    if (before !== undefined && isSameSummary(before.summary, summary)) return;
    const words = before?.words ?? `${jobId} ${summary.sourceName}`.toLowerCase();
    // An old job that is read for the first time has not changed.
    if (before !== undefined || !this.#jobs.has(jobId) || !isOver(view)) this.#changed.set(jobId, summary);
    this.#jobs.set(jobId, { summary, words });
  }

  #forget(jobId: string): void {
    if (this.#jobs.delete(jobId)) this.#gone.add(jobId);
    this.#changed.delete(jobId);
    this.#sheets.delete(jobId);
    this.#order = this.#order.filter((one) => one !== jobId);
  }

  #sort(): void {
    this.#order = [...this.#jobs.keys()].sort().toReversed();
  }

  /** Of the open jobs whose progress has changed. */
  async #lookAtSheets(): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    const due = [...this.#open.values()].filter(({ job }) => {
      const sheet = this.#sheets.get(job.jobId);
      if (sheet === undefined) return true;
      const isDue = sheet.mark !== progressMark(job) || (sheet.version === '' && job.framesScored > 0);
      return isDue && nowMs - sheet.lookedAtMs > SHEET_MS;
    });
    await pLimit(READS_AT_ONCE).map(due, async ({ job }) => {
      const stat = await this.#blobs.stat('results', contactSheetBlob(job.jobId));
      const version = stat?.etag.replaceAll('"', '') ?? '';
      this.#sheets.set(job.jobId, { version, mark: progressMark(job), lookedAtMs: nowMs });
    });
  }
}

/** A job that ended before its first frame was split has no picture. */
function lastThumbnailVersion({ status }: JobView): string {
  return status === undefined || status.frames.split === 0 ? '' : `ended-${status.updatedAt}`;
}
