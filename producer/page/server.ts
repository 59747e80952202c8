/**
 * The page's own HTTP server, on another port than the metrics: on Azure only the page may be reached from outside. See `contract.ts` for
 * its routes, and `guard.ts` for what they refuse.
 */
import { readFile } from 'node:fs/promises';

import { z } from 'zod';

import { JOB_ID_PATTERN } from '../../shared/contract/blob-names.ts';
import type { JobTimes } from '../../shared/redis/job-times.ts';
import type { Ledger } from '../../shared/redis/ledger.ts';
import { parsedRequest } from '../../shared/runtime/http-errors.ts';
import { type Http, createPlainHttp } from '../../shared/runtime/http.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { ScalerAddress } from '../../shared/runtime/scaler-client.ts';
import { assetRoutes, readAssets } from './assets.ts';
import type { Me } from './contract.ts';
import { fleetRoutes } from './fleet-routes.ts';
import { PageFleet } from './fleet.ts';
import { PAGE_HINT, SIGN_IN_ROUTE, addPageGuard } from './guard.ts';
import { JobDetailReader } from './job-details.ts';
import type { JobIndex } from './job-index.ts';
import { jobMediaRoutes } from './job-media-routes.ts';
import { jobRoutes } from './job-routes.ts';
import { LiveEvents } from './live.ts';
import type { NewJobServices } from './new-job.ts';
import { type PageSignIn, endSession, startSession } from './sign-in.ts';
import { StylePictureMaker } from './style-pictures.ts';
import { uploadRoutes } from './upload-routes.ts';
import { Uploads } from './uploads.ts';

export interface PageOptions extends Omit<NewJobServices, 'uploads'> {
  readonly ledger: Ledger;
  readonly times: JobTimes;
  readonly index: JobIndex;
  readonly signIn: PageSignIn;
  readonly hosts: readonly string[];
  /** Null if the producer is not told its address. */
  readonly scaler: ScalerAddress | null;
  readonly log: Log;
  /** Aborted when the service stops. */
  readonly signal: AbortSignal;
}

export interface Page {
  readonly http: Http;
  readonly live: LiveEvents;
  readonly uploads: Uploads;
}

const eventsQuery = z.object({ job: z.string().regex(JOB_ID_PATTERN, 'expected a job id').optional() });

/** Does not listen yet. */
export async function createPage(options: PageOptions): Promise<Page> {
  const { blobs, ledger, times, folders, sourceLimits, index, signIn, hosts, scaler, clock, log, signal } =
    options;
  const http = createPlainHttp();
  const assets = await readAssets();
  await addPageGuard(http, { signIn, hosts, scriptHashes: assets.scriptHashes, clock, log });
  assetRoutes(http, assets);
  const version = await packageVersion();
  http.post('/api/session', SIGN_IN_ROUTE, (request, reply) => {
    startSession(request, reply, { signIn, clock });
    return reply.code(204).send();
  });
  http.delete('/api/session', SIGN_IN_ROUTE, (request, reply) => {
    endSession(request, reply, signIn);
    return reply.code(204).send();
  });
  const fleet = scaler === null ? null : new PageFleet(scaler);
  http.get('/api/me', async ({ visitor }): Promise<Me> => {
    // A scaler that does not answer hides the money, and nothing else.
    const hasPrices = (await fleet?.hasPrices().catch(() => false)) ?? false;
    return { name: visitor?.name ?? null, version, hasScaler: fleet !== null, hasPrices };
  });
  fleetRoutes(http, fleet);
  const uploads = new Uploads({ blobs, folders, clock, log });
  const newJobs = { blobs, uploads, folders, sourceLimits, clock, signal };
  const styles = new StylePictureMaker({ ...newJobs, log });
  uploadRoutes(http, { ...newJobs, index, styles });
  const details = new JobDetailReader({ blobs, index, times, clock });
  jobRoutes(http, { blobs, index, details });
  jobMediaRoutes(http, { blobs, ledger, index, details, signal });
  const live = new LiveEvents({ index, details, fleetNow: fleet === null ? null : () => fleet.now(), clock });
  http.get('/api/events', ({ query }, reply) => {
    const { job = null } = parsedRequest(eventsQuery, query, PAGE_HINT);
    return reply
      .header('content-type', 'text/event-stream')
      .header('x-accel-buffering', 'no')
      .send(live.connect(job));
  });
  http.addHook('preClose', () => Promise.resolve(live.close()));
  return { http, live, uploads };
}

async function packageVersion(): Promise<string> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
}
