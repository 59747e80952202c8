/** The routes `/api/fleet`, `/api/fleet/history`, `/api/explain` and `/api/override`. */
import { z } from 'zod';

import { TransientError } from '../../shared/runtime/errors.ts';
import { parsedRequest } from '../../shared/runtime/http-errors.ts';
import type { Http, HttpRequest } from '../../shared/runtime/http.ts';
import type { PageFleet } from './fleet.ts';
import { PAGE_CHANGE_ROUTE, PAGE_HINT } from './guard.ts';

const HOURS_MAX = 12;
const historyQuery = z.object({ hours: z.coerce.number().min(0.01).max(HOURS_MAX).default(HOURS_MAX) });
/** The scaler checks the values. */
const overrideBody = z.strictObject({
  mode: z.string(),
  capacity: z.number().nullish(),
  ttlSeconds: z.number(),
  reason: z.string(),
});
const endBody = z.strictObject({ reason: z.string() });

/** `fleet` is null where the producer is not told the scaler's address: then each route answers FLEET_NOT_FOUND. */
export function fleetRoutes(http: Http, fleet: PageFleet | null): void {
  const known = (): PageFleet => {
    if (fleet !== null) return fleet;
    throw new TransientError('FLEET_NOT_FOUND', 'This page does not know the scaler.', {
      hint: 'Set FRAMEFLEET_SCALER_URL and FRAMEFLEET_SCALER_TOKEN for the producer.',
    });
  };
  http.get('/api/fleet', () => known().now());
  http.get('/api/fleet/history', ({ query }) =>
    known().history(parsedRequest(historyQuery, query, PAGE_HINT).hours),
  );
  http.get('/api/explain', ({ url }) => known().explain(new URL(url, 'http://page').searchParams));
  http.put('/api/override', PAGE_CHANGE_ROUTE, (request) =>
    known().setOverride(parsedRequest(overrideBody, request.body, PAGE_HINT), authorOf(request)),
  );
  http.delete('/api/override', PAGE_CHANGE_ROUTE, (request) =>
    known().endOverride(parsedRequest(endBody, request.body, PAGE_HINT).reason, authorOf(request)),
  );
}

/** Who signs a change: the person, if known. */
function authorOf({ visitor }: HttpRequest): string {
  return visitor?.name?.slice(0, 100) ?? 'page';
}
