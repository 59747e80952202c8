/**
 * How often a call to storage is tried, and how long all of it may take. PURE.
 *
 * What to do after a try is decided in `after-try.ts`, and done in `retrying-calls.ts`.
 */
import assert from 'node:assert/strict';

export interface RetryPolicy {
  readonly tries: number;
  /** Of one try, kept by us: so long without a byte moved, and it is ended. The service is asked to keep it, too. */
  readonly tryTimeoutMs: number;
  /** Between tries: full jitter from delayMs up, doubled with each, delayMaxMs at most unless the service asks for more. */
  readonly delayMs: number;
  readonly delayMaxMs: number;
  /** Of the whole call, kept by us: its tries and the waits between them. */
  readonly callTimeoutMs: number;
}

/** For work that nobody waits for: the service may have a bad half minute. */
export const PATIENT: RetryPolicy = whole({
  tries: 6,
  tryTimeoutMs: 25_000,
  delayMs: 400,
  delayMaxMs: 5_000,
  callTimeoutMs: 180_000,
});
/** For a call whose answer is worthless when it is late: a lease, a person waiting, a look at the door. */
export const BRISK: RetryPolicy = whole({
  tries: 2,
  tryTimeoutMs: 3_500,
  delayMs: 250,
  delayMaxMs: 500,
  callTimeoutMs: 8_000,
});

/** BRISK for a call that has less time than that: for a lease, say, a part of its length. */
export function briskWithin(callTimeoutMs: number): RetryPolicy {
  if (callTimeoutMs >= BRISK.callTimeoutMs) return BRISK;
  const delayMaxMs = Math.min(BRISK.delayMaxMs, callTimeoutMs / 8);
  return whole({
    tries: BRISK.tries,
    tryTimeoutMs: Math.min(BRISK.tryTimeoutMs, (callTimeoutMs - delayMaxMs) / BRISK.tries),
    delayMs: Math.min(BRISK.delayMs, delayMaxMs / 2),
    delayMaxMs,
    callTimeoutMs,
  });
}

/** A policy whose tries all fit into its call, however silent storage is. */
function whole(policy: RetryPolicy): RetryPolicy {
  const { tries, tryTimeoutMs, delayMs, delayMaxMs, callTimeoutMs } = policy;
  assert(delayMs <= delayMaxMs, 'the first delay is at most the longest');
  assert(tries * tryTimeoutMs + (tries - 1) * delayMaxMs <= callTimeoutMs, 'every try has its time');
  return policy;
}
