/** `GET`, `PUT` and `DELETE /override`: see the scaler's README. What is refused changes nothing. */
import { CHANGING, type Http, parsedRequest } from '../api/guarded-http.ts';
import { overrideEnd, overrideRequest, shown } from './document.ts';
import type { OverrideStore } from './store.ts';

export function overrideRoutes(http: Http, store: OverrideStore): void {
  const set = async (body: unknown, address: string) => {
    const override = await store.set(parsedRequest(overrideRequest, body), address);
    return { override: shown(override) };
  };
  const end = async (body: unknown, address: string) => {
    const ended = await store.end(parsedRequest(overrideEnd, body), address);
    return { ended: shown(ended) };
  };
  http.get('/override', async () => ({ override: shown(await store.inForce()) }));
  http.put('/override', CHANGING, (request) => set(request.body, request.ip));
  http.delete('/override', CHANGING, (request) => end(request.body, request.ip));
}
