/** The routes below `/api/jobs/:jobId` that return pictures, the result, and the frames that failed. */
import { z } from 'zod';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { FRAMES_MAX } from '../../shared/contract/limits.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import { parsedRequest } from '../../shared/runtime/http-errors.ts';
import type { Http, HttpReply, HttpRequest } from '../../shared/runtime/http.ts';
import { jobUnknown } from '../control/job-errors.ts';
import type { JobView } from '../control/job-view.ts';
import type { ContactSheet } from './contract.ts';
import { failedFramesOf } from './failed-frames.ts';
import { PAGE_HINT } from './guard.ts';
import type { JobDetailReader } from './job-details.ts';
import type { JobIndex } from './job-index.ts';
import { JobPictures } from './job-pictures.ts';
import { jobIdIn } from './job-routes.ts';
import { sendResult } from './result.ts';

const FAILED_SHOWN_MAX = 200;
/** A picture with its version in the address never changes. */
const KEPT_BY_BROWSER = 'private, max-age=86400, immutable';

const failedQuery = z.object({
  from: z.coerce.number().int().min(0).max(FRAMES_MAX).default(0),
  limit: z.coerce.number().int().min(1).max(FAILED_SHOWN_MAX).default(50),
});
const frameParameters = z.object({
  frame: z.coerce
    .number()
    .int()
    .min(0)
    .max(FRAMES_MAX - 1),
});
const cellParameters = z.object({
  side: z.enum(['before', 'after']),
  number: z.coerce.number().int().min(0).max(1000),
});
const pictureQuery = z.object({ v: z.string().max(200).optional() });
const resultQuery = z.object({ download: z.enum(['1']).optional() });

export interface JobMediaServices {
  readonly blobs: BlobStore;
  readonly ledger: Ledger;
  readonly index: JobIndex;
  readonly details: JobDetailReader;
  readonly signal: AbortSignal;
}

export function jobMediaRoutes(http: Http, services: JobMediaServices): void {
  const { blobs, index, details } = services;
  const pictures = new JobPictures(services);
  const viewIn = async (params: unknown): Promise<JobView> => {
    const jobId = jobIdIn(params);
    const view = await index.view(jobId);
    if (view === undefined) throw jobUnknown(jobId, 'show the job');
    return view;
  };
  http.get('/api/jobs/:jobId/failed', async ({ params, query }) =>
    failedFramesOf(services, await viewIn(params), parsedRequest(failedQuery, query, PAGE_HINT)),
  );
  http.get('/api/jobs/:jobId/frames/:frame', async (request, reply) => {
    const { frame } = parsedRequest(frameParameters, request.params, PAGE_HINT);
    return sendPicture(request, reply, await pictures.frame(jobIdIn(request.params), frame));
  });
  http.get('/api/jobs/:jobId/thumbnail', async (request, reply) =>
    sendPicture(request, reply, await pictures.thumbnail(jobIdIn(request.params))),
  );
  http.get('/api/jobs/:jobId/sheet', async ({ params }, reply) => {
    const sheet: ContactSheet | null = (await details.of(jobIdIn(params)))?.sheet ?? null;
    return sheet === null ? reply.callNotFound() : reply.send(sheet);
  });
  http.get('/api/jobs/:jobId/sheet/:side/:number', async (request, reply) => {
    const { side, number } = parsedRequest(cellParameters, request.params, PAGE_HINT);
    const picture = await pictures.cell(jobIdIn(request.params), number, side);
    return picture === undefined ? reply.callNotFound() : sendPicture(request, reply, picture);
  });
  http.get('/api/jobs/:jobId/result', async (request, reply) => {
    const { download } = parsedRequest(resultQuery, request.query, PAGE_HINT);
    return sendResult(blobs, await viewIn(request.params), request, reply, download === '1');
  });
}

/** A JPEG; of a job of still images, the image itself. */
function sendPicture({ query }: HttpRequest, reply: HttpReply, picture: Buffer): HttpReply {
  const { v } = parsedRequest(pictureQuery, query, PAGE_HINT);
  if (v !== undefined && v !== '') void reply.header('cache-control', KEPT_BY_BROWSER);
  return reply.type(pictureType(picture)).send(picture);
}

function pictureType(picture: Buffer): string {
  if (picture.subarray(0, 2).equals(Buffer.from([0xff, 0xd8]))) return 'image/jpeg';
  if (picture.subarray(1, 4).toString('latin1') === 'PNG') return 'image/png';
  if (picture.subarray(8, 12).toString('latin1') === 'WEBP') return 'image/webp';
  return picture.subarray(4, 12).toString('latin1') === 'ftypavif' ? 'image/avif' : 'image/tiff';
}
