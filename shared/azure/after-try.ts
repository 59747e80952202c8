/**
 * What to do after a try of a call to storage that did not succeed: try again after a wait, or give up and say why. PURE: the
 * time that is left and the randomness are given.
 *
 * Tried again: what the service calls its own trouble (408, 429, 500, 502, 503, 504), a connection that failed, a try that
 * heard nothing. When the service says how long to wait, it is never asked sooner: where the call has no time for that, it
 * gives up at once.
 */
import { backoffMs } from '../runtime/backoff.ts';
import type { RetryPolicy } from './retry-policy.ts';

export type TryOutcome =
  /** `retryAfterMs`: what the service asked for, if it did. */
  | { readonly kind: 'answer'; readonly status: number; readonly retryAfterMs: number | undefined }
  /** The connection failed, with an errno or a code of the SDK's. */
  | { readonly kind: 'connection'; readonly code: string }
  /** Nothing was heard for as long as a try may take. */
  | { readonly kind: 'silence' };

export type AfterTry =
  | { readonly action: 'retry'; readonly waitMs: number }
  /** `hopeless`: the same would be answered again. */
  | { readonly action: 'give-up'; readonly why: 'hopeless' | 'no-tries-left' | 'no-time-left' };

const PASSING_STATUSES: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);
const PASSING_CODES: ReadonlySet<string> = new Set([
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
  // The SDK's: an answer that broke off, and a request that failed without an errno.
  'PARSE_ERROR',
  'REQUEST_SEND_ERROR',
]);

export function afterTry({
  outcome,
  triesMade,
  leftMs,
  policy: { tries, delayMs, delayMaxMs },
  random,
}: {
  readonly outcome: TryOutcome;
  /** This one included. */
  readonly triesMade: number;
  /** Of the time of the whole call. */
  readonly leftMs: number;
  readonly policy: RetryPolicy;
  /** From 0 to 1. */
  readonly random: number;
}): AfterTry {
  if (!isPassing(outcome)) return { action: 'give-up', why: 'hopeless' };
  if (triesMade >= tries) return { action: 'give-up', why: 'no-tries-left' };
  const ownMs = backoffMs(triesMade, { minMs: delayMs, maxMs: delayMaxMs }, random);
  const askedMs = outcome.kind === 'answer' ? outcome.retryAfterMs : undefined;
  // Everybody was told the same: not all at the same instant.
  const waitMs = askedMs === undefined ? ownMs : Math.max(ownMs, askedMs + random * delayMs);
  return waitMs < leftMs ? { action: 'retry', waitMs } : { action: 'give-up', why: 'no-time-left' };
}

function isPassing(outcome: TryOutcome): boolean {
  switch (outcome.kind) {
    case 'answer':
      return PASSING_STATUSES.has(outcome.status);
    case 'connection':
      return PASSING_CODES.has(outcome.code);
    case 'silence':
      return true;
  }
}
