/** What storage says of jobs: request, status and control together. For the commands and the page. */
import pLimit from 'p-limit';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import {
  JOB_ID_PATTERN,
  capBlob,
  controlBlob,
  sourceBlob,
  triggerBlob,
} from '../../shared/contract/blob-names.ts';
import { decodeJobCap } from '../../shared/contract/cap.ts';
import { type Heartbeat, heartbeatFrom } from '../../shared/contract/heartbeat.ts';
import { decodeImageList } from '../../shared/contract/image-list.ts';
import { decodeJobControl } from '../../shared/contract/job-control.ts';
import { type JobRequest, type JobStatus, jobRequest } from '../../shared/contract/job.ts';
import { parseJson } from '../../shared/contract/parse-json.ts';
import { readFleetRates } from '../estimate/fleet-rates.ts';
import { readStatus } from '../jobs/status.ts';
import { stateText } from './job-words.ts';

const READS_AT_ONCE = 16;
/** Jobs that are read between two looks at how many have been found. */
const SLICE = 32;
/** A worker that has been silent for longer is gone: it sends a heartbeat every few seconds. */
const HEARTBEAT_MS_MAX = 60_000;

export interface JobView {
  readonly jobId: string;
  readonly request: JobRequest;
  /** With the priority that an operator has set since. */
  readonly priority: JobRequest['priority'];
  /** Undefined until a producer has accepted the job. */
  readonly status: JobStatus | undefined;
}

export interface JobFilter {
  /** States, or what jobs do, as `stateText` says. Null: all. */
  readonly states: readonly string[] | null;
  /** A part of the id or of the name of the source. */
  readonly search: string | null;
  readonly max: number;
}

/** The newest first. Reads no more jobs than it takes to find so many. */
export async function readJobs(blobs: BlobStore, { states, search, max }: JobFilter): Promise<JobView[]> {
  const jobIds: string[] = [];
  for await (const folder of blobs.listFolders('incoming'))
    if (JOB_ID_PATTERN.test(folder)) jobIds.push(folder);
  // A job id starts with the time.
  jobIds.sort().reverse();
  const found: JobView[] = [];
  const limit = pLimit(READS_AT_ONCE);
  for (let start = 0; start < jobIds.length && found.length < max; start += SLICE) {
    const views = await limit.map(jobIds.slice(start, start + SLICE), (jobId) => readJob(blobs, jobId));
    found.push(
      ...views.filter((view) => view !== undefined).filter((view) => matches(view, { states, search })),
    );
  }
  return found.slice(0, max);
}

/** Undefined if there is no such job, or its request cannot be read. */
export async function readJob(blobs: BlobStore, jobId: string): Promise<JobView | undefined> {
  const [trigger, status, control] = await Promise.all([
    blobs.get('incoming', triggerBlob(jobId)),
    readStatus(blobs, jobId),
    blobs.get('control', controlBlob(jobId)),
  ]);
  const request = jobRequest.safeParse(parseJson(String(trigger))).data;
  if (request === undefined) return undefined;
  const priority = (control && decodeJobControl(String(control), jobId)?.priority) ?? request.priority;
  return { jobId, request, priority, status };
}

function matches(view: JobView, { states, search }: Omit<JobFilter, 'max'>): boolean {
  const { jobId, request, status } = view;
  const isWanted = (one: string): boolean => states === null || states.includes(one);
  if (!isWanted(status?.state ?? 'waiting') && !isWanted(stateText(view))) return false;
  return search === null || `${jobId} ${request.source.name}`.toLowerCase().includes(search.toLowerCase());
}

/** What a job may cost in all: as an operator has set it since, or as it was requested. Null: no cap. */
export async function readSpendingMax(blobs: BlobStore, { jobId, request }: JobView): Promise<number | null> {
  const cap = await blobs.get('control', capBlob(jobId));
  return ((cap && decodeJobCap(String(cap), jobId)) ?? request).spendingMax ?? null;
}

/** Whether the fleet is known to have no prices: then nothing costs anything, and a cap has no effect. */
export async function hasNoPrices(blobs: BlobStore): Promise<boolean> {
  const rates = await readFleetRates(blobs);
  return rates !== undefined && rates.pools.every(({ pricePerHour }) => !pricePerHour);
}

/** Of a job of still images, by frame; of a video, none. */
export async function imageNamesOf(
  blobs: BlobStore,
  { jobId, request }: Pick<JobView, 'jobId' | 'request'>,
): Promise<readonly string[]> {
  if (request.source.kind !== 'images') return [];
  const list = await blobs.get('incoming', sourceBlob(jobId, request.source.name));
  return (list && decodeImageList(String(list)))?.images.map(({ name }) => name) ?? [];
}

/** Workers that have sent a heartbeat lately. */
export async function readWorkersAlive(blobs: BlobStore, now: Date): Promise<Heartbeat[]> {
  const alive: Heartbeat[] = [];
  for await (const { metadata, lastModifiedAt } of blobs.list('workers', {
    prefix: '',
    withMetadata: true,
  })) {
    const beat = heartbeatFrom(metadata);
    if (beat === undefined || beat.state === 'drained') continue;
    if (now.getTime() - lastModifiedAt.getTime() <= HEARTBEAT_MS_MAX) alive.push(beat);
  }
  return alive;
}
