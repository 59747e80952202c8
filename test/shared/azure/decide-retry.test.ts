import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { PATIENT, type TryFailure, decideRetry } from '../../../shared/azure/retry-policy.ts';

const POLICY = { ...PATIENT, tries: 4, delayMs: 100, delayMaxMs: 1_000 };
const TIME_LEFT_MS = 60_000;
const BUSY: TryFailure = { kind: 'response', status: 503, retryAfterMs: undefined };

interface Case {
  readonly failure?: TryFailure;
  readonly triesMade?: number;
  readonly timeLeftMs?: number;
  readonly random?: number;
}

function decide({ failure = BUSY, triesMade = 1, timeLeftMs = TIME_LEFT_MS, random = 0.5 }: Case = {}) {
  return decideRetry(failure, { policy: POLICY, triesMade, timeLeftMs }, random);
}

test.each([408, 429, 500, 502, 503, 504])('a response with status %i is retried', (status) => {
  const failure: TryFailure = { kind: 'response', status, retryAfterMs: undefined };
  expect(decide({ failure })).toMatchObject({ action: 'retry' });
});

test.each([200, 304, 400, 401, 403, 404, 409, 412, 413, 416, 501, 505])(
  'a response with status %i is not retried',
  (status) => {
    const failure: TryFailure = { kind: 'response', status, retryAfterMs: 10 };
    expect(decide({ failure })).toEqual({ action: 'give-up', why: 'not-retryable' });
  },
);

test.each(['ECONNRESET', 'ECONNREFUSED', 'ETIMEDOUT', 'EPIPE', 'ENOTFOUND', 'EAI_AGAIN', 'PARSE_ERROR'])(
  'a connection that fails with %s is retried',
  (code) => {
    expect(decide({ failure: { kind: 'connection', code } })).toMatchObject({ action: 'retry' });
  },
);

test.each(['', 'ENOENT', 'CERT_HAS_EXPIRED', 'unreadable'])(
  'a failure with code "%s" is not a connection fault and is not retried',
  (code) => {
    expect(decide({ failure: { kind: 'connection', code } })).toEqual({
      action: 'give-up',
      why: 'not-retryable',
    });
  },
);

test('a try that times out is retried', () => {
  expect(decide({ failure: { kind: 'timeout' } })).toMatchObject({ action: 'retry' });
});

test('a call gives up after its last try', () => {
  expect(decide({ triesMade: 3 })).toMatchObject({ action: 'retry' });
  expect(decide({ triesMade: 4 })).toEqual({ action: 'give-up', why: 'no-tries-left' });
});

test('the wait grows with jitter up to its bound', () => {
  const longest = [1, 2, 3].map((triesMade) => decide({ triesMade, random: 1 }));
  expect(longest).toEqual([200, 400, 800].map((waitMs) => ({ action: 'retry', waitMs })));
  expect(decide({ triesMade: 3, random: 0 })).toEqual({ action: 'retry', waitMs: 100 });
});

test('Retry-After is a lower bound of the wait, not an upper one', () => {
  const decideAfter = (retryAfterMs: number, triesMade = 1) =>
    decide({ failure: { kind: 'response', status: 503, retryAfterMs }, triesMade, random: 0.5 });
  expect(decideAfter(5_000)).toEqual({ action: 'retry', waitMs: 5_050 });
  expect(decideAfter(0, 3)).toEqual({ action: 'retry', waitMs: 450 });
});

test('a call gives up if Retry-After exceeds the time left', () => {
  const failure: TryFailure = { kind: 'response', status: 429, retryAfterMs: 2_000 };
  expect(decide({ failure, timeLeftMs: 2_000 })).toEqual({ action: 'give-up', why: 'no-time-left' });
  expect(decide({ failure, timeLeftMs: 3_000 })).toMatchObject({ action: 'retry' });
});

test('for any failure, a retry respects Retry-After, the time left and the number of tries', () => {
  const failures: fc.Arbitrary<TryFailure> = fc.oneof(
    fc.record({
      kind: fc.constant('response' as const),
      status: fc.integer({ min: 100, max: 599 }),
      retryAfterMs: fc.option(fc.nat(200_000), { nil: undefined }),
    }),
    fc.record({
      kind: fc.constant('connection' as const),
      code: fc.constantFrom('ECONNRESET', 'EPIPE', 'X'),
    }),
    fc.record({ kind: fc.constant('timeout' as const) }),
  );
  fc.assert(
    fc.property(
      failures,
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: -1_000, max: 200_000 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (failure, triesMade, timeLeftMs, random) => {
        const decision = decide({ failure, triesMade, timeLeftMs, random });
        if (decision.action === 'give-up') return true;
        const retryAfter = failure.kind === 'response' ? (failure.retryAfterMs ?? 0) : 0;
        return (
          triesMade < POLICY.tries &&
          decision.waitMs < timeLeftMs &&
          decision.waitMs >= Math.max(retryAfter, POLICY.delayMs)
        );
      },
    ),
  );
});
