/**
 * Tries of a call to storage: each with a time-out that we keep, with jittered waits between them, for as long as the service
 * asks, until one succeeds, `after-try.ts` gives up, or the caller's signal is aborted. In place of the SDK's own retries,
 * which wait without jitter, ignore `Retry-After` and 429, and never end a try that hears nothing.
 *
 * It sits above the signing of requests, so that each try is signed anew. A call that is given up fails with what its last try
 * failed with; an aborted one with the signal's reason.
 */
import type {
  HttpOperationResponse,
  RequestPolicy,
  RequestPolicyFactory,
  WebResource,
} from '@azure/storage-blob';

import { systemClock as clock } from '../runtime/clock.ts';
import { afterTry } from './after-try.ts';
import type { RetryPolicy } from './retry-policy.ts';
import { asked, timedTry } from './timed-try.ts';

/** To be put into a pipeline of the SDK whose own retries are off. */
export function retryingCalls(policy: RetryPolicy): RequestPolicyFactory {
  return {
    create: (next) => ({ sendRequest: (request) => retryingCall({ request, next, policy }) }),
  };
}

async function retryingCall({
  request,
  next,
  policy,
}: {
  readonly request: WebResource;
  readonly next: RequestPolicy;
  readonly policy: RetryPolicy;
}): Promise<HttpOperationResponse> {
  const from = asked(request);
  let startedAtMs = clock.monotonicMs();
  for (let triesMade = 1; ; triesMade += 1) {
    from.caller?.throwIfAborted();
    const result = await timedTry({ request, next, timeoutMs: policy.tryTimeoutMs, from });
    if (result.kind === 'answer') return result.answer;
    from.caller?.throwIfAborted();
    // A file takes as long as it takes: only what is small has to fit into the time of a call.
    if (from.openFile !== undefined) startedAtMs = clock.monotonicMs();
    const verdict = afterTry({
      outcome: result.outcome,
      triesMade,
      leftMs: policy.callTimeoutMs - (clock.monotonicMs() - startedAtMs),
      policy,
      random: Math.random(),
    });
    if (verdict.action === 'give-up') return result.end();
    await clock.sleep(verdict.waitMs, from.caller);
  }
}
