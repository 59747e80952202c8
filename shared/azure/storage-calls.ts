/**
 * Calls to storage that always end: each try and each call has a time-out that we enforce, because a server that accepts a
 * connection and never responds does not enforce any.
 *
 * `retryingRequests` replaces the SDK's own retries, which wait without jitter, ignore `Retry-After` and 429, and never end a
 * try without a response. It sits above the signing of requests, so each try is signed anew. A call that gives up fails with
 * the error of its last try; an aborted call fails with the signal's reason.
 */
import type { Readable } from 'node:stream';

import {
  type HttpOperationResponse,
  type RequestPolicy,
  type RequestPolicyFactory,
  type WebResource,
  isRestError,
} from '@azure/storage-blob';

import { systemClock as clock } from '../runtime/clock.ts';
import { TransientError, errnoOf } from '../runtime/errors.ts';
import { settleBody } from './response-body.ts';
import {
  type ResponseHeaders,
  type RetryPolicy,
  type TryFailure,
  decideRetry,
  retryAfterMs,
} from './retry-policy.ts';

export interface BoundedCall extends Disposable {
  readonly abortSignal: AbortSignal;
  /** Restarts the time-out, for a call that returns its result in pieces. */
  restartTimeout(): void;
}

/** Aborts after the policy's time-out or with the caller's signal: `using call = boundedCall(policy, signal)`. */
export function boundedCall({ callTimeoutMs }: RetryPolicy, signal?: AbortSignal): BoundedCall {
  const ending = new AbortController();
  const timer = setTimeout(() => ending.abort(timeoutError(callTimeoutMs)), callTimeoutMs);
  const onAbort = (): void => ending.abort(signal?.reason);
  if (signal?.aborted === true) onAbort();
  signal?.addEventListener('abort', onAbort, { once: true });
  return {
    abortSignal: ending.signal,
    restartTimeout: () => timer.refresh(),
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    },
  };
}

/** Add this to an SDK pipeline whose own retries are off. */
export function retryingRequests(policy: RetryPolicy): RequestPolicyFactory {
  return {
    create: (next) => ({ sendRequest: (request) => sendWithRetries(request, next, policy) }),
  };
}

async function sendWithRetries(
  request: WebResource,
  next: RequestPolicy,
  policy: RetryPolicy,
): Promise<HttpOperationResponse> {
  const original = originalRequest(request);
  let startedAtMs = clock.monotonicMs();
  for (let triesMade = 1; ; triesMade += 1) {
    original.signal?.throwIfAborted();
    const result = await tryOnce(request, next, original, policy.tryTimeoutMs);
    if (result.kind === 'success') return result.response;
    original.signal?.throwIfAborted();
    // The time to upload a file is not limited: only calls without a file must fit into callTimeoutMs.
    if (original.openFile !== undefined) startedAtMs = clock.monotonicMs();
    const timeLeftMs = policy.callTimeoutMs - (clock.monotonicMs() - startedAtMs);
    const decision = decideRetry(result.failure, { policy, triesMade, timeLeftMs }, Math.random());
    if (decision.action === 'give-up') return result.finish();
    await clock.sleep(decision.waitMs, original.signal);
  }
}

/** A request as the caller made it. Each try changes these properties, and starts from them. */
interface OriginalRequest {
  readonly url: string;
  readonly signal: AbortSignal | undefined;
  /** Set if the body is a file: opens it again. */
  readonly openFile: (() => Readable) | undefined;
  readonly onUploadProgress: WebResource['onUploadProgress'];
}

function originalRequest({ url, abortSignal, onUploadProgress, ...request }: WebResource): OriginalRequest {
  if (abortSignal !== undefined && !(abortSignal instanceof AbortSignal))
    throw new TypeError("expected the platform's AbortSignal");
  const body: unknown = request.body;
  const openFile = typeof body === 'function' ? (body as () => Readable) : undefined;
  return { url, signal: abortSignal, openFile, onUploadProgress };
}

type TryResult =
  | { readonly kind: 'success'; readonly response: HttpOperationResponse }
  /** `finish` throws the error, or returns the response from which the SDK makes an error later. */
  | { readonly kind: 'failure'; readonly failure: TryFailure; readonly finish: () => HttpOperationResponse };

/** Each piece of a file sent or of a body received restarts the time-out. */
async function tryOnce(
  request: WebResource,
  next: RequestPolicy,
  { url, signal, openFile, onUploadProgress }: OriginalRequest,
  timeoutMs: number,
): Promise<TryResult> {
  const ending = new AbortController();
  let ended: TryResult | undefined;
  const end = (error: Error, failure: TryFailure): void => {
    ended ??= failedWith(error, failure);
    ending.abort();
  };
  const timer = setTimeout(() => end(timeoutError(timeoutMs), { kind: 'timeout' }), timeoutMs);
  const onMoved = (): void => {
    timer.refresh();
  };
  let file: Readable | undefined;

  request.abortSignal = signal === undefined ? ending.signal : AbortSignal.any([signal, ending.signal]);
  if (openFile === undefined) {
    request.url = withServerTimeout(url, timeoutMs);
  } else {
    request.body = () => {
      file = openFile();
      // The SDK does not listen for this error, and the request would wait for the rest of the file.
      file.once('error', (error) => end(error, { kind: 'connection', code: 'unreadable' }));
      return file;
    };
    request.onUploadProgress = (progress) => {
      onMoved();
      onUploadProgress?.(progress);
    };
  }
  try {
    const response = await next.sendRequest(request);
    if (response.status >= 400)
      return { kind: 'failure', failure: responseFailure(response), finish: () => response };
    await settleBody(response, timeoutMs, onMoved);
    return { kind: 'success', response };
  } catch (error) {
    const failed = ended ?? failedWith(error, failureOf(error));
    // Closes the connection and ends everything that still waits for the signal.
    ending.abort();
    return failed;
  } finally {
    clearTimeout(timer);
    file?.destroy();
  }
}

function failedWith(error: unknown, failure: TryFailure): TryResult {
  return {
    kind: 'failure',
    failure,
    finish: () => {
      throw error;
    },
  };
}

function failureOf(error: unknown): TryFailure {
  if (isRestError(error) && error.statusCode !== undefined && error.statusCode >= 400)
    return responseFailure({ status: error.statusCode, headers: error.response?.headers });
  return { kind: 'connection', code: errnoOf(error) ?? '' };
}

function responseFailure(response: {
  readonly status: number;
  readonly headers: ResponseHeaders | undefined;
}): TryFailure {
  const { status, headers } = response;
  const nowMs = clock.now().getTime();
  return { kind: 'response', status, retryAfterMs: headers && retryAfterMs(headers, nowMs) };
}

function timeoutError(timeoutMs: number): TransientError {
  return new TransientError('STORAGE_UNAVAILABLE', `Storage did not respond within ${timeoutMs} ms.`);
}

/** Also tells the service to stop working on an abandoned request. It takes whole seconds, and 0 means no time-out. */
function withServerTimeout(url: string, timeoutMs: number): string {
  return `${url}${url.includes('?') ? '&' : '?'}timeout=${Math.max(1, Math.floor(timeoutMs / 1000))}`;
}
