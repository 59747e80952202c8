import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { type TryOutcome, afterTry } from '../../../shared/azure/after-try.ts';
import { PATIENT } from '../../../shared/azure/retry-policy.ts';

const POLICY = { ...PATIENT, tries: 4, delayMs: 100, delayMaxMs: 1_000 };
const LEFT_MS = 60_000;
const BUSY: TryOutcome = { kind: 'answer', status: 503, retryAfterMs: undefined };

function decide({
  outcome = BUSY,
  triesMade = 1,
  leftMs = LEFT_MS,
  random = 0.5,
}: { outcome?: TryOutcome; triesMade?: number; leftMs?: number; random?: number } = {}) {
  return afterTry({ outcome, triesMade, leftMs, policy: POLICY, random });
}

test.each([408, 429, 500, 502, 503, 504])('an answer %i is tried again', (status) => {
  const outcome: TryOutcome = { kind: 'answer', status, retryAfterMs: undefined };
  expect(decide({ outcome })).toMatchObject({ action: 'retry' });
});

test.each([200, 304, 400, 401, 403, 404, 409, 412, 413, 416, 501, 505])(
  'an answer %i would be the same again',
  (status) => {
    const outcome: TryOutcome = { kind: 'answer', status, retryAfterMs: 10 };
    expect(decide({ outcome })).toEqual({ action: 'give-up', why: 'hopeless' });
  },
);

test.each(['ECONNRESET', 'ECONNREFUSED', 'ETIMEDOUT', 'EPIPE', 'ENOTFOUND', 'EAI_AGAIN', 'PARSE_ERROR'])(
  'a connection that fails with %s is tried again',
  (code) => {
    expect(decide({ outcome: { kind: 'connection', code } })).toMatchObject({ action: 'retry' });
  },
);

test.each(['', 'ENOENT', 'CERT_HAS_EXPIRED', 'unreadable'])(
  'a failure with "%s" is not the connection’s, and is not tried again',
  (code) => {
    expect(decide({ outcome: { kind: 'connection', code } })).toEqual({ action: 'give-up', why: 'hopeless' });
  },
);

test('a try that heard nothing is tried again', () => {
  expect(decide({ outcome: { kind: 'silence' } })).toMatchObject({ action: 'retry' });
});

test('after its last try a call gives up', () => {
  expect(decide({ triesMade: 3 })).toMatchObject({ action: 'retry' });
  expect(decide({ triesMade: 4 })).toEqual({ action: 'give-up', why: 'no-tries-left' });
});

test('the wait grows, with jitter, up to its bound', () => {
  const longest = [1, 2, 3].map((triesMade) => decide({ triesMade, random: 1 }));
  expect(longest).toEqual([200, 400, 800].map((waitMs) => ({ action: 'retry', waitMs })));
  expect(decide({ triesMade: 3, random: 0 })).toEqual({ action: 'retry', waitMs: 100 });
});

test('what the service asks for is the shortest wait, not the longest', () => {
  const asked = (retryAfterMs: number, triesMade = 1) =>
    decide({ outcome: { kind: 'answer', status: 503, retryAfterMs }, triesMade, random: 0.5 });
  expect(asked(5_000)).toEqual({ action: 'retry', waitMs: 5_050 });
  expect(asked(0, 3)).toEqual({ action: 'retry', waitMs: 450 });
});

test('a service that asks for more time than there is is not asked again', () => {
  const outcome: TryOutcome = { kind: 'answer', status: 429, retryAfterMs: 2_000 };
  expect(decide({ outcome, leftMs: 2_000 })).toEqual({ action: 'give-up', why: 'no-time-left' });
  expect(decide({ outcome, leftMs: 3_000 })).toMatchObject({ action: 'retry' });
});

test('whatever happens, a retry is never sooner than asked, nor later than the call may last, nor one too many', () => {
  const outcomes: fc.Arbitrary<TryOutcome> = fc.oneof(
    fc.record({
      kind: fc.constant('answer' as const),
      status: fc.integer({ min: 100, max: 599 }),
      retryAfterMs: fc.option(fc.nat(200_000), { nil: undefined }),
    }),
    fc.record({
      kind: fc.constant('connection' as const),
      code: fc.constantFrom('ECONNRESET', 'EPIPE', 'X'),
    }),
    fc.record({ kind: fc.constant('silence' as const) }),
  );
  fc.assert(
    fc.property(
      outcomes,
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: -1_000, max: 200_000 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (outcome, triesMade, leftMs, random) => {
        const next = decide({ outcome, triesMade, leftMs, random });
        if (next.action === 'give-up') return true;
        const askedMs = outcome.kind === 'answer' ? (outcome.retryAfterMs ?? 0) : 0;
        return (
          triesMade < POLICY.tries && next.waitMs < leftMs && next.waitMs >= Math.max(askedMs, POLICY.delayMs)
        );
      },
    ),
  );
});
