import { describe, expect, test } from 'vitest';

import { type ArmFailure, type Raise, refusalFrom } from '../../scaler/fleet/arm-errors.ts';
import { armFailureOf, operationFailureOf } from '../../scaler/fleet/arm-failure.ts';

const SPOT: Raise = { kind: 'spot', from: 2, to: 12 };
const ON_DEMAND: Raise = { kind: 'on-demand', from: 2, to: 12 };
const NOW_MS = Date.UTC(2026, 10, 23);

function failed(fields: Partial<ArmFailure>): ArmFailure {
  return { status: null, code: null, message: '', retryAfterMs: null, ...fields };
}

const quotaText = (quota: string, limit: number, usage: number, more: number): string =>
  `Operation could not be completed as it results in exceeding approved ${quota} quota. Additional details - Deployment Model: Resource Manager, Location: westeurope, Current Limit: ${limit}, Current Usage: ${usage}, Additional Required: ${more}, (Minimum) New Limit Required: ${usage + more}. Setup Alerts when Quota reaches threshold. Learn more at https://aka.ms/quotamonitoringalerting . Submit a request for Quota increase at https://aka.ms/ProdportalCRP/#blade/Microsoft_Azure_Capacity/UsageAndQuota.ReactView`;

describe('refusalFrom()', () => {
  test.each<[string, Partial<ArmFailure>, Raise, string]>([
    [
      'a quota of spot',
      { status: 409, code: 'OperationNotAllowed', message: quotaText('LowPriorityCores', 3, 0, 6) },
      SPOT,
      'quota',
    ],
    [
      'a quota of a family',
      {
        status: 409,
        code: 'OperationNotAllowed',
        message: quotaText('Standard NCASv3_T4 Family Cores', 8, 8, 40),
      },
      ON_DEMAND,
      'quota',
    ],
    [
      'a quota of the region',
      { status: 409, code: 'OperationNotAllowed', message: quotaText('Total Regional Cores', 10, 4, 40) },
      ON_DEMAND,
      'quota',
    ],
    [
      'a quota in the result of an operation',
      { code: 'OperationNotAllowed', message: quotaText('LowPriorityCores', 3, 0, 6) },
      SPOT,
      'quota',
    ],
    [
      'a quota in the older wording',
      {
        status: 409,
        code: 'OperationNotAllowed',
        message:
          'Operation results in exceeding quota limits of Core. Maximum allowed: 4, Current in use: 4, Additional requested: 2.',
      },
      ON_DEMAND,
      'quota',
    ],
    ['a quota of another provider', { status: 409, code: 'QuotaExceeded' }, ON_DEMAND, 'quota'],
    ['no free spot instances of a size', { status: 409, code: 'SkuNotAvailable' }, SPOT, 'capacity'],
    ['a size that is not offered', { status: 409, code: 'SkuNotAvailable' }, ON_DEMAND, 'unavailable'],
    [
      'no free instances',
      { code: 'AllocationFailed', message: 'Allocation failed. We do not have' },
      SPOT,
      'capacity',
    ],
    ['no free instances in a zone', { code: 'ZonalAllocationFailed' }, ON_DEMAND, 'capacity'],
    ['an overconstrained allocation', { code: 'OverconstrainedAllocationRequest' }, SPOT, 'capacity'],
    [
      'an overconstrained allocation in a zone',
      { code: 'OverconstrainedZonalAllocationRequest' },
      SPOT,
      'capacity',
    ],
    [
      'a spot price above the maximum',
      { status: 409, code: 'SpotPriceGreaterThanProvidedMaxPrice' },
      SPOT,
      'capacity',
    ],
    [
      'a size without spot support',
      { status: 400, code: 'AzureSpotIsNotSupportedForThisVMSize' },
      SPOT,
      'unavailable',
    ],
    [
      'no free instances, nested in another code',
      { code: 'ResourceOperationFailure', message: 'The operation ended with AllocationFailed: no capacity' },
      SPOT,
      'capacity',
    ],
    [
      'too many calls, with the same code as a quota',
      { status: 429, code: 'OperationNotAllowed', message: 'The server rejected the request' },
      SPOT,
      'throttled',
    ],
    ['too many calls, in the result of an operation', { code: 'TooManyRequests' }, SPOT, 'throttled'],
    ['a scale set that has changed', { status: 412, code: 'PreconditionFailed' }, SPOT, 'conflict'],
    [
      'a busy scale set, with the same code as a quota',
      {
        status: 409,
        code: 'OperationNotAllowed',
        message: 'Operation is not allowed since another operation is in progress.',
      },
      SPOT,
      'conflict',
    ],
    ['an operation that a later one preempted', { code: 'OperationPreempted' }, SPOT, 'conflict'],
    ['a missing permission', { status: 403, code: 'AuthorizationFailed' }, SPOT, 'forbidden'],
    ['an expired token', { status: 401, code: 'ExpiredAuthenticationToken' }, SPOT, 'forbidden'],
    ['a missing scale set', { status: 404, code: 'ResourceNotFound' }, SPOT, 'unavailable'],
    [
      'a size unknown to the region',
      { status: 400, code: 'InvalidParameter', message: 'The requested VM size Standard_NC6s_v3 is not' },
      ON_DEMAND,
      'unavailable',
    ],
    ['a server error', { status: 500, code: 'InternalServerError' }, SPOT, 'unreachable'],
    ['a gateway error', { status: 502, message: 'Bad Gateway' }, SPOT, 'unreachable'],
    ['a connection that broke', { code: 'ECONNRESET', message: 'read ECONNRESET' }, SPOT, 'unreachable'],
    ['a boot that took too long', { code: 'OSProvisioningTimedOut' }, SPOT, 'unreachable'],
    ['an unknown code', { status: 409, code: 'NeverHeardOf' }, SPOT, 'conflict'],
    ['an operation result without a code', {}, SPOT, 'unreachable'],
  ])('classifies %s', (_what, fields, raise, reason) => {
    expect(refusalFrom(failed(fields), raise).reason).toBe(reason);
  });

  test('passes on the wait for any reason', () => {
    expect(refusalFrom(failed({ status: 503, retryAfterMs: 1_200_000 }), null)).toMatchObject({
      reason: 'unreachable',
      retryAfterMs: 1_200_000,
    });
  });

  test('returns a message of one line with status, code and Azure’s text', () => {
    const { message } = refusalFrom(
      failed({ status: 409, code: 'SkuNotAvailable', message: `no\n such ${'size '.repeat(200)}` }),
      SPOT,
    );
    expect(message).toMatch(/^409 SkuNotAvailable: no such size size .*…$/);
    expect(message.length).toBeLessThanOrEqual(300);
  });
});

describe('the capacity that fits a quota', () => {
  test.each([
    { limit: 20, usage: 8, more: 40, fits: 5 },
    { limit: 48, usage: 8, more: 60, fits: 8 },
    { limit: 8, usage: 8, more: 40, fits: 2 },
    { limit: 0, usage: 0, more: 40, fits: 2 },
    { limit: 8, usage: 20, more: 40, fits: 2 },
    { limit: 11, usage: 8, more: 40, fits: 2 },
    { limit: 1_000, usage: 0, more: 40, fits: 12 },
    { limit: 1_000, usage: 0, more: 0, fits: null },
  ])(
    'is $fits of 12, with 2 existing, $more cores for ten more, and $usage of $limit used',
    ({ limit, usage, more, fits }) => {
      const message = quotaText('LowPriorityCores', limit, usage, more);
      const refusal = refusalFrom(failed({ status: 409, code: 'OperationNotAllowed', message }), SPOT);
      expect(refusal.capacityThatFits).toBe(fits);
    },
  );

  test.each([
    { what: 'the numbers are missing', message: 'exceeding approved LowPriorityCores quota.', raise: SPOT },
    { what: 'the call was not a raise', message: quotaText('LowPriorityCores', 3, 0, 6), raise: null },
  ])('is null if $what', ({ message, raise }) => {
    expect(refusalFrom(failed({ status: 409, message }), raise)).toMatchObject({
      reason: 'quota',
      capacityThatFits: null,
    });
  });
});

describe('errors of the SDK', () => {
  const headers = (values: Readonly<Record<string, string>>) => ({ get: (name: string) => values[name] });

  test('armFailureOf() returns status, code and wait of a refused call', () => {
    const error = Object.assign(new Error('too many'), {
      name: 'RestError',
      statusCode: 429,
      code: 'OperationNotAllowed',
      response: { headers: headers({ 'retry-after': '1200' }) },
    });
    expect(armFailureOf(error, NOW_MS)).toEqual({
      status: 429,
      code: 'OperationNotAllowed',
      message: 'too many',
      retryAfterMs: 1_200_000,
    });
  });

  test('armFailureOf() ignores the status of an answer that cannot be parsed', () => {
    const error = Object.assign(new Error('Unexpected token <'), { statusCode: 200, code: 'PARSE_ERROR' });
    expect(armFailureOf(error, NOW_MS)).toMatchObject({ status: null });
  });

  test.each([
    { thrown: 'a text', message: 'a text' },
    { thrown: null, message: 'null' },
    { thrown: new Error('broken', { cause: new Error('pipe') }), message: 'broken (because: pipe)' },
  ])('armFailureOf() accepts any thrown value: $message', ({ thrown, message }) => {
    expect(armFailureOf(thrown, NOW_MS)).toEqual({ status: null, code: null, message, retryAfterMs: null });
  });

  test.each([
    {
      text: 'The long-running operation has failed. AllocationFailed. Allocation failed. We do\nnot have it.',
      code: 'AllocationFailed',
      message: 'Allocation failed. We do\nnot have it.',
    },
    {
      text: 'The long-running operation has failed',
      code: null,
      message: 'The long-running operation has failed',
    },
    { text: 'Operation was canceled', code: 'OperationCanceled', message: 'Operation was canceled' },
  ])('operationFailureOf() parses the code from the text: $code', ({ text, code, message }) => {
    expect(operationFailureOf(new Error(text))).toMatchObject({ status: null, code, message });
  });

  test('operationFailureOf() returns null for a failed poll', () => {
    expect(operationFailureOf(new Error('read ECONNRESET'))).toBeNull();
    expect(operationFailureOf('a text')).toBeNull();
  });
});
