/**
 * The jobs that the list shows: pages from the server, the newest first, and what the events change. A new job is put on top at once
 * only while the visitor is at the top; otherwise it waits for a click, so that nothing moves under the pointer.
 */
import { signal } from '@preact/signals';

import type { JobState } from '../../../../shared/contract/job.ts';
import type { JobSummary, JobsPage } from '../../contract.ts';
import { onJobs } from '../live.ts';
import { type ApiFailure, asFailure, ask } from '../server.ts';

/** The first page is soon there; who scrolls on goes far. */
const FIRST_JOBS = 60;
const MORE_JOBS = 200;
/** Below this many pixels the page counts as scrolled to the top. */
const TOP_PIXELS = 80;

export interface ListFilter {
  readonly states: readonly JobState[];
  readonly search: string;
}

export const jobFilter = signal<ListFilter>({ states: [], search: '' });
export const listedJobs = signal<readonly JobSummary[]>([]);
export const waitingJobs = signal<readonly JobSummary[]>([]);
export const jobsTotal = signal<number | undefined>(undefined);
/** Older jobs that the server has not read yet: a filter misses them. */
export const jobsUnread = signal(0);
export const listFailure = signal<ApiFailure | undefined>(undefined);

let next: string | null = null;
let loading: AbortController | undefined;
const places = new Map<string, number>();

export async function loadJobs(filter: ListFilter): Promise<void> {
  jobFilter.value = filter;
  next = null;
  loading?.abort();
  loading = undefined;
  await loadPage([]);
}

export async function loadMoreJobs(): Promise<void> {
  if (loading !== undefined || next === null) return;
  await loadPage(listedJobs.peek());
}

async function loadPage(before: readonly JobSummary[]): Promise<void> {
  const abort = new AbortController();
  loading = abort;
  const { states, search } = jobFilter.peek();
  const query = new URLSearchParams({ limit: String(before.length === 0 ? FIRST_JOBS : MORE_JOBS) });
  if (states.length > 0) query.set('states', states.join(','));
  if (search !== '') query.set('search', search);
  if (next !== null) query.set('before', next);
  try {
    const page = await ask<JobsPage>(`jobs?${query}`, abort.signal);
    listFailure.value = undefined;
    next = page.next;
    jobsTotal.value = page.total;
    jobsUnread.value = page.unread;
    if (before.length === 0) waitingJobs.value = [];
    show([...before, ...page.jobs]);
  } catch (error) {
    if (!abort.signal.aborted) listFailure.value = asFailure(error);
  } finally {
    if (loading === abort) loading = undefined;
  }
}

function show(jobs: readonly JobSummary[]): void {
  places.clear();
  jobs.forEach(({ jobId }, place) => places.set(jobId, place));
  listedJobs.value = jobs;
}

/** Puts the jobs that wait on top. */
export function showWaitingJobs(): void {
  const added = waitingJobs.peek();
  waitingJobs.value = [];
  show([...added, ...listedJobs.peek()]);
}

/** Returns a function that stops it. */
export function followJobs(): () => void {
  return onJobs((changed, goneIds) => {
    if (jobsTotal.peek() === undefined) return;
    if (goneIds.length > 0) remove(new Set(goneIds));
    const jobs = [...listedJobs.peek()];
    const added = new Map(waitingJobs.peek().map((job) => [job.jobId, job]));
    const known = added.size;
    for (const job of changed) {
      const place = places.get(job.jobId);
      if (place !== undefined) jobs[place] = job;
      else if (isNewer(job, jobs[0]) && matches(job, jobFilter.peek())) added.set(job.jobId, job);
    }
    listedJobs.value = jobs;
    jobsTotal.value = (jobsTotal.peek() ?? 0) + added.size - known;
    // A job's id starts with the time.
    waitingJobs.value = [...added.values()].sort((a, b) => (a.jobId < b.jobId ? 1 : -1));
    if (added.size > 0 && scrollY < TOP_PIXELS) showWaitingJobs();
  });
}

function remove(gone: ReadonlySet<string>): void {
  const isKept = ({ jobId }: JobSummary) => !gone.has(jobId);
  const before = listedJobs.peek().length + waitingJobs.peek().length;
  waitingJobs.value = waitingJobs.peek().filter(isKept);
  show(listedJobs.peek().filter(isKept));
  const removed = before - listedJobs.peek().length - waitingJobs.peek().length;
  jobsTotal.value = (jobsTotal.peek() ?? 0) - removed;
}

function isNewer(job: JobSummary, newest: JobSummary | undefined): boolean {
  return newest === undefined || job.jobId > newest.jobId;
}

function matches(job: JobSummary, { states, search }: ListFilter): boolean {
  if (states.length > 0 && !states.includes(job.state)) return false;
  return `${job.jobId} ${job.sourceName}`.toLowerCase().includes(search.toLowerCase());
}
