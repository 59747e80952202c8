/** The scaler's control routes: `/override`, `/status`, `/history` and `/explain`. They go behind the guard. A `GET` changes nothing. */
import { z } from 'zod';

import { parsedRequest } from '../../shared/runtime/http-errors.ts';
import type { Http } from '../../shared/runtime/http.ts';
import { type TickHistory, HISTORY_HOURS_MAX } from '../history.ts';
import type { OverrideStore } from '../override/store.ts';
import type { Policy } from '../policy.ts';
import type { ScalerLoop } from '../tick.ts';
import { explanationOf } from './explain/explanation.ts';
import { whatIfQuery } from './explain/what-if.ts';
import { API_HINT } from './guarded-http.ts';
import { overrideRoutes } from './override-routes.ts';
import { statusOf } from './status.ts';

const historyQuery = z.strictObject({
  hours: z.coerce.number().min(0.01).max(HISTORY_HOURS_MAX).default(HISTORY_HOURS_MAX),
});

export interface ControlApiOptions {
  readonly loop: Pick<ScalerLoop, 'last'>;
  readonly overrides: OverrideStore;
  readonly history: TickHistory;
  readonly policy: Policy;
}

export function controlApi({ loop, overrides, history, policy }: ControlApiOptions): (http: Http) => void {
  const explain = async (query: unknown) => {
    const whatIf = parsedRequest(whatIfQuery, query, API_HINT);
    return explanationOf(await loop.last(), policy, whatIf);
  };
  return (http) => {
    overrideRoutes(http, overrides, policy);
    http.get('/status', async () => {
      const tick = await loop.last();
      return statusOf(tick, { policy, framesPerSecond: history.framesPerSecond() });
    });
    http.get('/history', ({ query }) => history.of(parsedRequest(historyQuery, query, API_HINT).hours));
    http.get('/explain', (request) => explain(request.query));
  };
}
