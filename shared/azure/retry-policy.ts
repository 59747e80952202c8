/**
 * When a call to Azure is tried again, after how long, and when it gives up. PURE: time and randomness are passed in.
 *
 * Retried are the statuses by which a service reports a temporary fault (408, 429, 500, 502, 503, 504), failed connections and
 * tries that time out. If the service says how long to wait, the call waits at least that long, or gives up if its time does
 * not allow it. `storage-calls.ts` carries the decisions out.
 */
import assert from 'node:assert/strict';

import { backoffMs } from '../runtime/backoff.ts';

export interface RetryPolicy {
  readonly tries: number;
  /** A try that moves no byte for this long is ended. We enforce it, and also send it to the service. */
  readonly tryTimeoutMs: number;
  /** Waits between tries have full jitter: from delayMs up to a bound that doubles with each try, at most delayMaxMs. */
  readonly delayMs: number;
  readonly delayMaxMs: number;
  /** For the whole call: its tries and the waits between them. */
  readonly callTimeoutMs: number;
}

/** For calls whose caller can wait: outlasts half a minute of errors from the service. */
export const PATIENT: RetryPolicy = checked({
  tries: 6,
  tryTimeoutMs: 25_000,
  delayMs: 400,
  delayMaxMs: 5_000,
  callTimeoutMs: 180_000,
});
/** For calls whose result is useless if it is late: renewing a lease, answering a person, checking access at start. */
export const BRISK: RetryPolicy = checked({
  tries: 2,
  tryTimeoutMs: 3_500,
  delayMs: 250,
  delayMaxMs: 500,
  callTimeoutMs: 8_000,
});

/** BRISK, shortened for a call that has less time, such as a fraction of a lease. */
export function briskWithin(callTimeoutMs: number): RetryPolicy {
  if (callTimeoutMs >= BRISK.callTimeoutMs) return BRISK;
  const delayMaxMs = Math.min(BRISK.delayMaxMs, callTimeoutMs / 8);
  return checked({
    tries: BRISK.tries,
    tryTimeoutMs: Math.min(BRISK.tryTimeoutMs, (callTimeoutMs - delayMaxMs) / BRISK.tries),
    delayMs: Math.min(BRISK.delayMs, delayMaxMs / 2),
    delayMaxMs,
    callTimeoutMs,
  });
}

/** Asserts that all tries fit into the call, even if each one times out. */
function checked(policy: RetryPolicy): RetryPolicy {
  const { tries, tryTimeoutMs, delayMs, delayMaxMs, callTimeoutMs } = policy;
  assert(delayMs <= delayMaxMs, 'expected delayMs to be at most delayMaxMs');
  assert(
    tries * tryTimeoutMs + (tries - 1) * delayMaxMs <= callTimeoutMs,
    'expected all tries and delays to fit into callTimeoutMs',
  );
  return policy;
}

/** How a try failed. */
export type TryFailure =
  /** `retryAfterMs`: how long the service asks to wait, if it does. */
  | { readonly kind: 'response'; readonly status: number; readonly retryAfterMs: number | undefined }
  /** The connection failed. `code` is an errno or a code of the SDK. */
  | { readonly kind: 'connection'; readonly code: string }
  /** No byte moved for `tryTimeoutMs`. */
  | { readonly kind: 'timeout' };

export type RetryDecision =
  | { readonly action: 'retry'; readonly waitMs: number }
  /** `not-retryable`: another try would fail in the same way. */
  | { readonly action: 'give-up'; readonly why: 'not-retryable' | 'no-tries-left' | 'no-time-left' };

export interface RetryBudget {
  readonly policy: RetryPolicy;
  /** Including the one that failed. */
  readonly triesMade: number;
  /** Of the whole call. */
  readonly timeLeftMs: number;
}

const RETRYABLE_STATUSES: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);
const RETRYABLE_CODES: ReadonlySet<string> = new Set([
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
  'ERR_STREAM_PREMATURE_CLOSE',
  // Of the SDK: an incomplete response, and a request that failed without an errno.
  'PARSE_ERROR',
  'REQUEST_SEND_ERROR',
]);

/** What to do after a failed try. `random` is from 0 to 1. */
export function decideRetry(
  failure: TryFailure,
  { policy, triesMade, timeLeftMs }: RetryBudget,
  random: number,
): RetryDecision {
  if (!isRetryable(failure)) return { action: 'give-up', why: 'not-retryable' };
  if (triesMade >= policy.tries) return { action: 'give-up', why: 'no-tries-left' };
  const backoff = backoffMs(triesMade, { minMs: policy.delayMs, maxMs: policy.delayMaxMs }, random);
  const retryAfter = failure.kind === 'response' ? failure.retryAfterMs : undefined;
  // All clients receive the same Retry-After: jitter keeps them from returning at the same instant.
  const waitMs = retryAfter === undefined ? backoff : Math.max(backoff, retryAfter + random * policy.delayMs);
  return waitMs < timeLeftMs ? { action: 'retry', waitMs } : { action: 'give-up', why: 'no-time-left' };
}

function isRetryable(failure: TryFailure): boolean {
  switch (failure.kind) {
    case 'response':
      return RETRYABLE_STATUSES.has(failure.status);
    case 'connection':
      return RETRYABLE_CODES.has(failure.code);
    case 'timeout':
      return true;
  }
}

export interface ResponseHeaders {
  get(name: string): string | undefined;
}

/** Azure's own headers, in milliseconds. They take precedence because they are more precise. */
const RETRY_AFTER_MS_HEADERS = ['x-ms-retry-after-ms', 'retry-after-ms'] as const;

/**
 * How long a response asks to wait: undefined without a readable value, 0 for an instant that has passed. `Retry-After` holds
 * whole seconds or an HTTP date (RFC 9110, 10.2.3).
 */
export function retryAfterMs(headers: ResponseHeaders, nowMs: number): number | undefined {
  for (const name of RETRY_AFTER_MS_HEADERS) {
    const ms = parseDigits(headers.get(name));
    if (ms !== undefined) return ms;
  }
  const value = headers.get('retry-after');
  const seconds = parseDigits(value);
  if (seconds !== undefined) return seconds * 1000;
  const atMs = value === undefined ? Number.NaN : Date.parse(value);
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs);
}

function parseDigits(value: string | undefined): number | undefined {
  return value !== undefined && /^\s*\d+\s*$/.test(value) ? Number(value) : undefined;
}
