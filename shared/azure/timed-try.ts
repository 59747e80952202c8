/**
 * One try of a call to storage. It ends: with an answer, a failure, the caller's abort, or the time-out of a try, which is ours
 * to keep. What moves begins the time anew: pieces of a file that go up, pieces of a body that come down.
 */
import type { Readable } from 'node:stream';

import {
  type HttpOperationResponse,
  type RequestPolicy,
  type WebResource,
  isRestError,
} from '@azure/storage-blob';

import { systemClock } from '../runtime/clock.ts';
import { TransientError, errnoOf } from '../runtime/errors.ts';
import type { TryOutcome } from './after-try.ts';
import { settleBody } from './answer-body.ts';
import { type Headers, retryAfterMs } from './retry-after.ts';

export type TryResult =
  | { readonly kind: 'answer'; readonly answer: HttpOperationResponse }
  /** `end` throws what went wrong, or returns the answer of which the SDK makes an error later on. */
  | { readonly kind: 'failure'; readonly outcome: TryOutcome; readonly end: () => HttpOperationResponse };

/** A request as the caller made it: each try changes these, and begins from them. */
export interface Asked {
  readonly url: string;
  readonly caller: AbortSignal | undefined;
  /** Where a file is sent: opens it anew. */
  readonly openFile: (() => Readable) | undefined;
  readonly onUploadProgress: WebResource['onUploadProgress'];
}

export function asked({ url, abortSignal, onUploadProgress, ...request }: WebResource): Asked {
  if (abortSignal !== undefined && !(abortSignal instanceof AbortSignal))
    throw new TypeError("expected the platform's AbortSignal");
  const body: unknown = request.body;
  const openFile = typeof body === 'function' ? (body as () => Readable) : undefined;
  return { url, caller: abortSignal, openFile, onUploadProgress };
}

export async function timedTry({
  request,
  next,
  timeoutMs,
  from: { url, caller, openFile, onUploadProgress },
}: {
  readonly request: WebResource;
  readonly next: RequestPolicy;
  readonly timeoutMs: number;
  readonly from: Asked;
}): Promise<TryResult> {
  const ending = new AbortController();
  let ended: TryResult | undefined;
  const end = (error: Error, outcome: TryOutcome): void => {
    ended ??= thrown(error, outcome);
    ending.abort();
  };
  const timer = setTimeout(() => {
    const message = `Storage did not answer within ${timeoutMs} ms.`;
    end(new TransientError('STORAGE_UNAVAILABLE', message), { kind: 'silence' });
  }, timeoutMs);
  const onMoved = (): void => {
    timer.refresh();
  };
  let file: Readable | undefined;

  request.abortSignal = caller === undefined ? ending.signal : AbortSignal.any([caller, ending.signal]);
  if (openFile === undefined) {
    request.url = withServerTimeout(url, timeoutMs);
  } else {
    request.body = () => {
      file = openFile();
      // Nobody else listens, and the request would wait for the rest of it.
      file.once('error', (error) => end(error, { kind: 'connection', code: 'unreadable' }));
      return file;
    };
    request.onUploadProgress = (progress) => {
      onMoved();
      onUploadProgress?.(progress);
    };
  }
  try {
    const answer = await next.sendRequest(request);
    if (answer.status >= 400) return { kind: 'failure', outcome: answered(answer), end: () => answer };
    await settleBody(answer, { stallMs: timeoutMs, onMoved });
    return { kind: 'answer', answer };
  } catch (error) {
    const failed = ended ?? thrown(error, outcomeOf(error));
    // Lets go of the connection, and of whatever still waits for the signal.
    ending.abort();
    return failed;
  } finally {
    clearTimeout(timer);
    file?.destroy();
  }
}

function thrown(error: unknown, outcome: TryOutcome): TryResult {
  return {
    kind: 'failure',
    outcome,
    end: () => {
      throw error;
    },
  };
}

function outcomeOf(error: unknown): TryOutcome {
  if (isRestError(error) && error.statusCode !== undefined && error.statusCode >= 400)
    return answered({ status: error.statusCode, headers: error.response?.headers });
  return { kind: 'connection', code: errnoOf(error) ?? '' };
}

function answered({
  status,
  headers,
}: {
  readonly status: number;
  readonly headers: Headers | undefined;
}): TryOutcome {
  const nowMs = systemClock.now().getTime();
  return { kind: 'answer', status, retryAfterMs: headers && retryAfterMs(headers, nowMs) };
}

/** So that the service does not work for long on what nobody waits for any more: in whole seconds, of which 0 is none. */
function withServerTimeout(url: string, timeoutMs: number): string {
  return `${url}${url.includes('?') ? '&' : '?'}timeout=${Math.max(1, Math.floor(timeoutMs / 1000))}`;
}
