/** The scaler's control routes: `/override`, `/status` and `/explain`. They go behind the guard. A `GET` changes nothing. */
import type { OverrideStore } from '../override/store.ts';
import type { Policy } from '../policy.ts';
import type { ScalerLoop } from '../tick.ts';
import { explanationOf } from './explain/explanation.ts';
import { whatIfQuery } from './explain/what-if.ts';
import { type Http, parsedRequest } from './guarded-http.ts';
import { overrideRoutes } from './override-routes.ts';
import { statusOf } from './status.ts';

export interface ControlApiOptions {
  readonly loop: Pick<ScalerLoop, 'last'>;
  readonly overrides: OverrideStore;
  readonly policy: Policy;
}

export function controlApi({ loop, overrides, policy }: ControlApiOptions): (http: Http) => void {
  const explain = async (query: unknown) => {
    const whatIf = parsedRequest(whatIfQuery, query);
    return explanationOf(await loop.last(), policy, whatIf);
  };
  return (http) => {
    overrideRoutes(http, overrides);
    http.get('/status', async () => statusOf(await loop.last(), policy));
    http.get('/explain', (request) => explain(request.query));
  };
}
