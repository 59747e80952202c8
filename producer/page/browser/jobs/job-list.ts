/**
 * The jobs that the list shows: pages from the server, the newest first, and what the events change. A job that is added is put in its
 * place at once only while the visitor is at the top; otherwise it waits for a click, so that nothing moves under the pointer.
 */
import { signal } from '@preact/signals';

import type { JobState } from '../../../../shared/contract/job.ts';
import type { JobSummary, JobsPage } from '../../contract.ts';
import { onJobs } from '../live.ts';
import { type ApiFailure, asFailure, ask } from '../server.ts';

/** The first page is soon there; who scrolls on goes far. */
const FIRST_JOBS = 60;
/** The most that the server gives at once. */
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

/** How many the visitor has scrolled to. */
let wanted = FIRST_JOBS;
/** The last job that is read; null if it is the oldest of all. */
let next: string | null = null;
interface Loading {
  readonly abort: AbortController;
  /** What has changed since the first request: the answers may be from before. */
  readonly changed: JobSummary[];
}
let loading: Loading | undefined;
const places = new Map<string, number>();

/** Shows the newest jobs of another filter. */
export async function filterJobs(filter: ListFilter): Promise<void> {
  jobFilter.value = filter;
  wanted = FIRST_JOBS;
  await read([], show);
}

/** Reads again as many jobs as are listed. */
export async function refreshJobs(): Promise<void> {
  await read([], showWithoutMoving);
}

export async function loadMoreJobs(): Promise<void> {
  if (loading !== undefined || next === null) return;
  wanted = listedJobs.peek().length + MORE_JOBS;
  await read(listedJobs.peek(), show);
}

/** Reads on after the jobs that are known, and then shows all. */
async function read(
  known: readonly JobSummary[],
  showAll: (jobs: readonly JobSummary[]) => void,
): Promise<void> {
  loading?.abort.abort();
  const current: Loading = { abort: new AbortController(), changed: [] };
  loading = current;
  const jobs = [...known];
  let before = known.length === 0 ? null : next;
  let page: JobsPage;
  try {
    do {
      page = await ask<JobsPage>(`jobs?${queryFor(wanted - jobs.length, before)}`, current.abort.signal);
      jobs.push(...page.jobs);
      before = page.next;
    } while (before !== null && jobs.length < wanted);
  } catch (error) {
    if (!current.abort.signal.aborted) listFailure.value = asFailure(error);
    return;
  } finally {
    if (loading === current) loading = undefined;
  }
  listFailure.value = undefined;
  next = before;
  jobsTotal.value = page.total;
  jobsUnread.value = page.unread;
  showAll(jobs);
  takeChanges(current.changed);
}

function queryFor(limit: number, before: string | null): URLSearchParams {
  const { states, search } = jobFilter.peek();
  const query = new URLSearchParams({ limit: String(Math.min(limit, MORE_JOBS)) });
  if (states.length > 0) query.set('states', states.join(','));
  if (search !== '') query.set('search', search);
  if (before !== null) query.set('before', before);
  return query;
}

function show(jobs: readonly JobSummary[]): void {
  const waiting = waitingJobs.peek();
  places.clear();
  jobs.forEach(({ jobId }, place) => places.set(jobId, place));
  listedJobs.value = jobs;
  if (waiting.length > 0) waitingJobs.value = waiting.filter(({ jobId }) => !places.has(jobId));
}

/** The jobs that have come since wait, unless the visitor is at the top. */
function showWithoutMoving(jobs: readonly JobSummary[]): void {
  const last = listedJobs.peek().at(-1)?.jobId;
  waitingJobs.value = [];
  if (last === undefined || scrollY < TOP_PIXELS) {
    show(jobs);
    return;
  }
  const isAdded = ({ jobId }: JobSummary) => !places.has(jobId) && jobId > last;
  const added = jobs.filter(isAdded);
  show(jobs.filter((job) => !isAdded(job)));
  waitingJobs.value = added;
}

/** Puts the jobs that wait in their places. */
export function showWaitingJobs(): void {
  const added = waitingJobs.peek();
  waitingJobs.value = [];
  show(newestFirst([...added, ...listedJobs.peek()]));
}

/** Returns a function that stops it. */
export function followJobs(): () => void {
  return onJobs((changed, goneIds) => {
    loading?.changed.push(...changed);
    if (jobsTotal.peek() === undefined) return;
    if (goneIds.length > 0) remove(new Set(goneIds));
    takeChanges(changed);
  });
}

/** Jobs change, come and go, also because they match the filter now or no longer. */
function takeChanges(changed: readonly JobSummary[]): void {
  const jobs = [...listedJobs.peek()];
  const waiting = new Map(waitingJobs.peek().map((job) => [job.jobId, job]));
  const left = new Set<string>();
  const known = waiting.size;
  for (const job of changed) {
    const place = places.get(job.jobId);
    const isMatch = matches(job, jobFilter.peek());
    if (!isMatch && (place !== undefined || waiting.has(job.jobId))) left.add(job.jobId);
    if (!isMatch) continue;
    left.delete(job.jobId);
    if (place !== undefined) jobs[place] = job;
    // The older ones are not read yet.
    else if (next === null || job.jobId > next) waiting.set(job.jobId, job);
  }
  listedJobs.value = jobs;
  jobsTotal.value = (jobsTotal.peek() ?? 0) + waiting.size - known;
  waitingJobs.value = newestFirst([...waiting.values()]);
  if (left.size > 0) remove(left);
  if (waitingJobs.peek().length > 0 && scrollY < TOP_PIXELS) showWaitingJobs();
}

function remove(gone: ReadonlySet<string>): void {
  const isKept = ({ jobId }: JobSummary) => !gone.has(jobId);
  const before = listedJobs.peek().length + waitingJobs.peek().length;
  waitingJobs.value = waitingJobs.peek().filter(isKept);
  show(listedJobs.peek().filter(isKept));
  const removed = before - listedJobs.peek().length - waitingJobs.peek().length;
  jobsTotal.value = (jobsTotal.peek() ?? 0) - removed;
}

/** A job's id starts with the time. */
function newestFirst(jobs: readonly JobSummary[]): JobSummary[] {
  return [...jobs].sort((a, b) => (a.jobId < b.jobId ? 1 : -1));
}

function matches(job: JobSummary, { states, search }: ListFilter): boolean {
  if (states.length > 0 && !states.includes(job.state)) return false;
  return `${job.jobId} ${job.sourceName}`.toLowerCase().includes(search.toLowerCase());
}
