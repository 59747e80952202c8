/** The routes `GET`, `PUT` and `DELETE /override`. A refused request changes nothing. */
import { parsedRequest } from '../../shared/runtime/http-errors.ts';
import type { Http } from '../../shared/runtime/http.ts';
import { overrideEnd, overrideJson, overrideRequest } from '../override/document.ts';
import type { OverrideStore } from '../override/store.ts';
import type { Policy } from '../policy.ts';
import { API_HINT, CHANGE_ROUTE } from './guarded-http.ts';

/** Every answer names the limit of the fleet, which no override raises. */
export function overrideRoutes(
  http: Http,
  store: OverrideStore,
  { capacityMax }: Pick<Policy, 'capacityMax'>,
): void {
  const set = async (body: unknown, address: string) => {
    const override = await store.set(parsedRequest(overrideRequest, body, API_HINT), address);
    return { override: overrideJson(override), capacityMax };
  };
  const end = async (body: unknown, address: string) => {
    const ended = await store.end(parsedRequest(overrideEnd, body, API_HINT), address);
    return { ended: overrideJson(ended), capacityMax };
  };
  http.get('/override', async () => ({ override: overrideJson(await store.inForce()), capacityMax }));
  http.put('/override', CHANGE_ROUTE, (request) => set(request.body, request.ip));
  http.delete('/override', CHANGE_ROUTE, (request) => end(request.body, request.ip));
}
