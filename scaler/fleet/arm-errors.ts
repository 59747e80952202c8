/**
 * Classifies failures of Azure Resource Manager as refusals of a pool. PURE.
 *
 * One code can have several meanings: `OperationNotAllowed` is a quota, throttling, or a busy scale set. One failure can arrive
 * in two forms: immediately with a status, or minutes later as the result of an operation, which has only a text. This file
 * therefore checks status, code and text, in that order, and uses the text only if Azure provides nothing else.
 *
 * Sources of codes and texts: Azure/karpenter-provider-azure, commonerrorhandlers.go; Microsoft Learn on throttling, allocation
 * failures and spot error codes.
 */
import type { BlockReason, Refusal } from './fleet.ts';

/** The parts of a failed call that matter here. */
export interface ArmFailure {
  /** Null without an answer, and for the result of an operation. */
  readonly status: number | null;
  readonly code: string | null;
  readonly message: string;
  readonly retryAfterMs: number | null;
}

/** The request that failed: a pool with `from` instances was asked for `to`. */
export interface Raise {
  readonly kind: 'spot' | 'on-demand';
  readonly from: number;
  readonly to: number;
}

const MESSAGE_LENGTH_MAX = 300;

type Meaning = BlockReason | ((kind: Raise['kind'] | null) => BlockReason);

/** By Azure error code. Some codes are nested in the text of a generic error. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  TooManyRequests: 'throttled',
  SubscriptionRequestsThrottled: 'throttled',
  ResourceRequestsThrottled: 'throttled',
  QuotaExceeded: 'quota',
  ResourceQuotaExceeded: 'quota',
  // For spot it means no free instance at the moment, for on-demand a size that is not offered.
  SkuNotAvailable: (kind) => (kind === 'spot' ? 'capacity' : 'unavailable'),
  AllocationFailed: 'capacity',
  ZonalAllocationFailed: 'capacity',
  OverconstrainedAllocationRequest: 'capacity',
  OverconstrainedZonalAllocationRequest: 'capacity',
  SpotPriceGreaterThanProvidedMaxPrice: 'capacity',
  AzureSpotIsNotSupportedForThisVMSize: 'unavailable',
  ResourceNotFound: 'unavailable',
  ResourceGroupNotFound: 'unavailable',
  AuthorizationFailed: 'forbidden',
  LinkedAuthorizationFailed: 'forbidden',
  OperationPreempted: 'conflict',
  OperationCanceled: 'conflict',
  AnotherOperationInProgress: 'conflict',
  PreconditionFailed: 'conflict',
};
const CODES = Object.keys(MEANINGS);
const CODE_IN_TEXT = new RegExp(`\\b(${CODES.join('|')})\\b`);

const QUOTA_TEXT = /exceeding (?:approved .+? quota|quota limits?)/i;
const QUOTA_NUMBERS = {
  limit: /(?:Current Limit|Maximum allowed): (\d+)/i,
  usage: /(?:Current Usage|Current in use): (\d+)/i,
  more: /Additional (?:Required|Requested): (\d+)/i,
};

/** `raise` is null for a failed read or removal. */
export function refusalFrom(failure: ArmFailure, raise: Raise | null): Refusal {
  const reason = reasonOf(failure, raise?.kind ?? null);
  return {
    reason,
    message: oneLine(failure),
    capacityThatFits: reason === 'quota' && raise !== null ? capacityWithin(failure.message, raise) : null,
    retryAfterMs: failure.retryAfterMs,
  };
}

function reasonOf({ status, code, message }: ArmFailure, kind: Raise['kind'] | null): BlockReason {
  if (status === 429) return 'throttled';
  if (status === 401 || status === 403) return 'forbidden';
  if (status === 412) return 'conflict';
  if (status !== null && status >= 500) return 'unreachable';
  if (QUOTA_TEXT.test(message)) return 'quota';
  const meaning = MEANINGS[code ?? ''] ?? MEANINGS[CODE_IN_TEXT.exec(message)?.[1] ?? ''];
  if (meaning !== undefined) return typeof meaning === 'function' ? meaning(kind) : meaning;
  if (status === 409) return 'conflict';
  return status === 400 || status === 404 || status === 410 ? 'unavailable' : 'unreachable';
}

/** The quota counts cores. Cores per instance follow from the request: `more` cores for `to - from` instances. */
function capacityWithin(message: string, { from, to }: Raise): number | null {
  const [limit, usage, more] = [QUOTA_NUMBERS.limit, QUOTA_NUMBERS.usage, QUOTA_NUMBERS.more].map((pattern) =>
    Number(pattern.exec(message)?.[1] ?? Number.NaN),
  );
  if (limit === undefined || usage === undefined || more === undefined) return null;
  const fits = Math.floor((Math.max(0, limit - usage) * (to - from)) / more);
  return Number.isFinite(fits) ? from + Math.min(fits, to - from) : null;
}

function oneLine({ status, code, message }: ArmFailure): string {
  const origin = [status, code].filter((part) => part !== null).join(' ');
  const line = `${origin}${origin === '' ? '' : ': '}${message.replaceAll(/\s+/g, ' ').trim()}`;
  return line.length <= MESSAGE_LENGTH_MAX ? line : `${line.slice(0, MESSAGE_LENGTH_MAX - 1)}…`;
}
