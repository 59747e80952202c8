/**
 * The server's events. The browser reconnects by itself after a broken connection, and this file after a refused one, unless the session
 * has ended; `resync` then changes, and views ask again for what they may have missed.
 */
import { signal } from '@preact/signals';

import type { FleetNow, JobDetail, JobSummary, Me } from '../contract.ts';
import { fleetFromEvent } from './fleet-state.ts';
import { ask } from './server.ts';

const RETRY_MS = 5000;

type Connection = 'connecting' | 'open' | 'lost';
export const connection = signal<Connection>('connecting');
/** When the last event came before the connection was lost. */
export const lastHeardAt = signal<Date | null>(null);
/** Counts the streams: one for each job that is followed, and one after each lost connection. What changes between two of them is not told. */
export const streamsOpened = signal(0);
/** Counts the connections after the first. */
export const resync = signal(0);

/** Of the job that is followed. */
export const liveJob = signal<JobDetail | null>(null);

type JobsListener = (changed: readonly JobSummary[], goneIds: readonly string[]) => void;
const jobsListeners = new Set<JobsListener>();

/** Returns a function that stops it. */
export function onJobs(listener: JobsListener): () => void {
  jobsListeners.add(listener);
  return () => jobsListeners.delete(listener);
}

let source: EventSource | undefined;
let retry: ReturnType<typeof setTimeout> | undefined;
let wasOpen = false;

/** Listens to all jobs and the fleet, and to the details of one job. */
export function listenToEvents(jobId: string | null): void {
  stopListening();
  if (liveJob.peek()?.jobId !== jobId) liveJob.value = null;
  source = new EventSource(`/api/events${jobId === null ? '' : `?job=${encodeURIComponent(jobId)}`}`);
  const current = source;
  current.addEventListener('open', opened);
  current.addEventListener('error', () => {
    connection.value = 'lost';
    if (current.readyState !== EventSource.CLOSED) return;
    retry = setTimeout(() => listenToEvents(jobId), RETRY_MS);
    // The browser does not tell why it was refused. `ask` notes a session that has ended.
    ask<Me>('me').catch(() => undefined);
  });
  heed<JobSummary[]>(current, 'jobs', (changed) => {
    for (const listener of jobsListeners) listener(changed, []);
  });
  heed<string[]>(current, 'gone', (goneIds) => {
    for (const listener of jobsListeners) listener([], goneIds);
  });
  heed<JobDetail>(current, 'job', (detail) => {
    if (detail.jobId === jobId) liveJob.value = detail;
  });
  heed<FleetNow>(current, 'fleet', fleetFromEvent);
}

export function stopListening(): void {
  clearTimeout(retry);
  source?.close();
  source = undefined;
}

function opened(): void {
  if (wasOpen && connection.peek() === 'lost') resync.value += 1;
  wasOpen = true;
  streamsOpened.value += 1;
  connection.value = 'open';
  lastHeardAt.value = new Date();
}

function heed<T>(from: EventSource, name: string, take: (content: T) => void): void {
  from.addEventListener(name, (event) => {
    lastHeardAt.value = new Date();
    take(JSON.parse((event as MessageEvent<string>).data) as T);
  });
}
