/**
 * What ends a call to storage: the caller's own signal, or a time-out of ours. The SDK only asks the service to keep one, and
 * a server that accepts and never answers keeps none.
 */
import { TransientError } from '../runtime/errors.ts';
import type { RetryPolicy } from './retry-policy.ts';

export interface BoundedCall extends Disposable {
  readonly abortSignal: AbortSignal;
  /** Begins the time anew: for a call that comes in pieces. */
  goOn(): void;
}

/** To be disposed of when the call is over: `using call = boundedCall(policy, signal)`. */
export function boundedCall({ callTimeoutMs }: RetryPolicy, signal?: AbortSignal): BoundedCall {
  const ending = new AbortController();
  const timer = setTimeout(() => {
    ending.abort(
      new TransientError('STORAGE_UNAVAILABLE', `Storage did not answer within ${callTimeoutMs} ms.`),
    );
  }, callTimeoutMs);
  const onAbort = (): void => ending.abort(signal?.reason);
  if (signal?.aborted === true) onAbort();
  signal?.addEventListener('abort', onAbort, { once: true });
  return {
    abortSignal: ending.signal,
    goOn: () => timer.refresh(),
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    },
  };
}
