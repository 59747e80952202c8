/** The routes below `/api/jobs`: the list, one job, and what may be ordered of it. */
import { z } from 'zod';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { JOB_ID_PATTERN } from '../../shared/contract/blob-names.ts';
import { JOB_STATES, PRIORITIES } from '../../shared/contract/job.ts';
import { parsedRequest } from '../../shared/runtime/http-errors.ts';
import type { Http } from '../../shared/runtime/http.ts';
import { jobUnknown } from '../control/job-errors.ts';
import { cancelJob, cleanJob, pauseJob, resumeJob, retryJob, setJobPriority } from '../control/job-orders.ts';
import type { JobSummary } from './contract.ts';
import { PAGE_CHANGE_ROUTE, PAGE_HINT } from './guard.ts';
import type { JobDetailReader } from './job-details.ts';
import type { JobIndex } from './job-index.ts';

const JOBS_SHOWN = 50;
const JOBS_SHOWN_MAX = 200;
const SEARCH_CHARACTERS_MAX = 200;

const jobParameters = z.object({ jobId: z.string().regex(JOB_ID_PATTERN, 'expected a job id') });
const listQuery = z.object({
  states: z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(z.enum(JOB_STATES)))
    .optional(),
  search: z.string().max(SEARCH_CHARACTERS_MAX).optional(),
  before: z.string().regex(JOB_ID_PATTERN, 'expected a job id').optional(),
  limit: z.coerce.number().int().min(1).max(JOBS_SHOWN_MAX).default(JOBS_SHOWN),
});
const cancelBody = z.object({ keepScored: z.boolean() });
const priorityBody = z.object({ priority: z.enum(PRIORITIES) });

export interface JobRouteServices {
  readonly blobs: BlobStore;
  readonly index: JobIndex;
  readonly details: JobDetailReader;
}

/** The job of the address. Throws REQUEST_INVALID. */
export function jobIdIn(params: unknown): string {
  return parsedRequest(jobParameters, params, PAGE_HINT).jobId;
}

export function jobRoutes(http: Http, { blobs, index, details }: JobRouteServices): void {
  http.get('/api/jobs', (request) => {
    const { states, search, before, limit } = parsedRequest(listQuery, request.query, PAGE_HINT);
    return index.page({
      states: states ?? null,
      search: search === undefined || search === '' ? null : search,
      before: before ?? null,
      limit,
    });
  });
  http.get('/api/jobs/:jobId', async ({ params }) => {
    const jobId = jobIdIn(params);
    const detail = await details.of(jobId);
    if (detail === undefined) throw jobUnknown(jobId, 'show the job');
    return detail;
  });

  const after = async (jobId: string): Promise<JobSummary> => {
    const summary = await index.refresh(jobId);
    if (summary === undefined) throw jobUnknown(jobId, 'show the job');
    return summary;
  };
  http.post('/api/jobs/:jobId/cancel', PAGE_CHANGE_ROUTE, async ({ params, body }) => {
    const jobId = jobIdIn(params);
    const { keepScored } = parsedRequest(cancelBody, body, PAGE_HINT);
    await cancelJob(blobs, jobId, { isCleaned: !keepScored });
    return after(jobId);
  });
  const orders = { pause: pauseJob, resume: resumeJob, retry: retryJob, clean: cleanJob } as const;
  for (const [name, order] of Object.entries(orders))
    http.post(`/api/jobs/:jobId/${name}`, PAGE_CHANGE_ROUTE, async ({ params }) => {
      const jobId = jobIdIn(params);
      await order(blobs, jobId);
      return after(jobId);
    });
  http.put('/api/jobs/:jobId/priority', PAGE_CHANGE_ROUTE, async ({ params, body }) => {
    const jobId = jobIdIn(params);
    const { priority } = parsedRequest(priorityBody, body, PAGE_HINT);
    await setJobPriority(blobs, jobId, priority);
    return after(jobId);
  });
}
