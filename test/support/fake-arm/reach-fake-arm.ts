/**
 * Connects the real SDK to the fake. The SDK gets an https address, because it sends its token only over https; the last step of
 * its pipeline redirects the request to the fake's http port.
 */
import type { ComputeOptions } from '../../../scaler/fleet/compute-calls.ts';
import type { FakeArm } from './fake-arm.ts';
import { RESOURCE_GROUP, SUBSCRIPTION_ID } from './fake-region.ts';
import { ENDPOINT } from './routes.ts';

const HOUR_MS = 3_600_000;

export function reachFakeArm(arm: FakeArm, callTimeoutMs?: number): ComputeOptions {
  return {
    subscriptionId: SUBSCRIPTION_ID,
    resourceGroup: RESOURCE_GROUP,
    endpoint: ENDPOINT,
    credential: {
      getToken: () => Promise.resolve({ token: 'a-token', expiresOnTimestamp: Date.now() + HOUR_MS }),
    },
    ...(callTimeoutMs === undefined ? {} : { callTimeoutMs }),
    policies: [
      {
        position: 'perRetry',
        policy: {
          name: 'reachFakeArm',
          sendRequest: async (request, next) => {
            const { url } = request;
            const { pathname, search } = new URL(url);
            request.url = `http://127.0.0.1:${arm.port}${pathname}${search}`;
            request.allowInsecureConnection = true;
            const answer = await next(request);
            // The SDK reads the result of a change from the URL that it sent the change to.
            request.url = url;
            return answer;
          },
        },
      },
    ],
  };
}
