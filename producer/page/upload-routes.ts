/** The routes that make a job: `/api/models`, `/api/uploads`, `POST /api/jobs`. */
import type { Readable } from 'node:stream';

import { z } from 'zod';

import { publishedModels } from '../../shared/azure/publish-models.ts';
import { JOB_ID_PATTERN, NAME_PATTERN } from '../../shared/contract/blob-names.ts';
import { DEFAULT_MODEL, PRIORITIES } from '../../shared/contract/job.ts';
import { modelParameters } from '../../shared/contract/messages.ts';
import { parsedRequest } from '../../shared/runtime/http-errors.ts';
import type { Http } from '../../shared/runtime/http.ts';
import { jobUnknown } from '../control/job-errors.ts';
import { findModel } from '../jobs/model-catalogue.ts';
import type { JobSummary, Model, Upload } from './contract.ts';
import { estimateUpload } from './estimate.ts';
import { PAGE_CHANGE_ROUTE, PAGE_HINT } from './guard.ts';
import type { JobIndex } from './job-index.ts';
import { type NewJobServices, startJob } from './new-job.ts';
import type { StylePictureMaker } from './style-pictures.ts';
import { UPLOAD_FILES_MAX, UPLOAD_PART_BYTES, uploadRequest } from './uploads.ts';

/** Names of many files. */
const UPLOAD_BODY_BYTES_MAX = UPLOAD_FILES_MAX * 1200;

const uploadParameters = z.object({ uploadId: z.string().regex(JOB_ID_PATTERN, 'expected an upload id') });
const fileParameters = uploadParameters.extend({
  number: z.coerce.number().int().min(0).max(UPLOAD_FILES_MAX),
});
const partParameters = fileParameters.extend({ part: z.coerce.number().int().min(0).max(49_999) });
const newJobBody = z.object({
  uploadId: z.string().regex(JOB_ID_PATTERN, 'expected an upload id'),
  model: z.string().regex(NAME_PATTERN, 'expected the name of a model'),
  parameters: modelParameters,
  priority: z.enum(PRIORITIES),
});

const stylesQuery = newJobBody.pick({ model: true });
/** The limit per minute is 80 GB. */
const PAGE_PART_ROUTE = {
  bodyLimit: UPLOAD_PART_BYTES,
  config: { rateLimit: { max: 10_000, timeWindow: 60_000 } },
} as const;
const KEPT_BY_BROWSER = 'private, max-age=86400, immutable';

export interface UploadRouteServices extends NewJobServices {
  readonly styles: StylePictureMaker;
  readonly index: JobIndex;
  /** Aborted when the service stops. */
  readonly signal: AbortSignal;
}

export function uploadRoutes(http: Http, services: UploadRouteServices): void {
  const { blobs, uploads, index, styles, signal } = services;
  // The bytes of a part are read when there is room for them.
  http.addContentTypeParser('application/octet-stream', (_request, body, done) => done(null, body));

  http.get('/api/models', async (): Promise<Model[]> => {
    const models: Model[] = [];
    for (const name of (await publishedModels(blobs)).keys()) {
      const { version, output, parameters } = await findModel(blobs, { name });
      models.push({
        name,
        version,
        result: 'kind' in output ? 'numbers' : 'picture',
        styles: parameters['style']?.values.map(({ id }) => id) ?? [],
        isDefault: name === DEFAULT_MODEL,
      });
    }
    return models;
  });
  http.post(
    '/api/uploads',
    { ...PAGE_CHANGE_ROUTE, bodyLimit: UPLOAD_BODY_BYTES_MAX },
    async ({ body }): Promise<Upload> => {
      const { jobId, files } = await uploads.create(parsedRequest(uploadRequest, body, PAGE_HINT));
      return {
        id: jobId,
        partBytes: UPLOAD_PART_BYTES,
        files: files.map(({ name }, number) => ({ name, url: `/api/uploads/${jobId}/files/${number}` })),
      };
    },
  );
  http.put('/api/uploads/:uploadId/files/:number/:part', PAGE_PART_ROUTE, async ({ params, body }, reply) => {
    const { uploadId, number, part } = parsedRequest(partParameters, params, PAGE_HINT);
    const bytes = parsedRequest(z.custom<Readable>(isStream, 'expected bytes'), body, PAGE_HINT);
    await uploads.putPart(uploadId, number, part, bytes);
    return reply.code(204).send();
  });
  http.delete('/api/uploads/:uploadId', PAGE_CHANGE_ROUTE, async ({ params }, reply) => {
    const { uploadId } = parsedRequest(uploadParameters, params, PAGE_HINT);
    await uploads.find(uploadId);
    await uploads.forget(uploadId);
    return reply.code(204).send();
  });
  http.delete('/api/uploads/:uploadId/files/:number', PAGE_CHANGE_ROUTE, async ({ params }, reply) => {
    const { uploadId, number } = parsedRequest(fileParameters, params, PAGE_HINT);
    await uploads.removeFile(uploadId, number);
    return reply.code(204).send();
  });
  http.post('/api/uploads/:uploadId/styles', PAGE_CHANGE_ROUTE, ({ params, body }) => {
    const { uploadId } = parsedRequest(uploadParameters, params, PAGE_HINT);
    return styles.of(uploadId, parsedRequest(stylesQuery, body, PAGE_HINT).model);
  });
  http.get('/api/uploads/:uploadId/styles/:number', async ({ params, query }, reply) => {
    const { uploadId, number } = parsedRequest(fileParameters, params, PAGE_HINT);
    const { model } = parsedRequest(stylesQuery, query, PAGE_HINT);
    const picture = await styles.picture(uploadId, model, number);
    if (picture === undefined) return reply.callNotFound();
    return reply.type('image/jpeg').header('cache-control', KEPT_BY_BROWSER).send(picture);
  });
  http.post('/api/estimates', PAGE_CHANGE_ROUTE, ({ body }) =>
    estimateUpload(services, parsedRequest(newJobBody, body, PAGE_HINT), signal),
  );
  http.post('/api/jobs', PAGE_CHANGE_ROUTE, async ({ body }): Promise<JobSummary> => {
    const jobId = await startJob(services, parsedRequest(newJobBody, body, PAGE_HINT), signal);
    const summary = await index.refresh(jobId);
    if (summary === undefined) throw jobUnknown(jobId, 'show the job');
    return summary;
  });
}

function isStream(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'pipe' in body;
}
