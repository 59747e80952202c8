/**
 * What Azure Resource Manager means when it does not do what it was asked. PURE.
 *
 * One code stands for several things (`OperationNotAllowed` is a quota, a throttle, or a scale set that is busy), and one thing
 * comes in several ways: at once with a status, or minutes later as the outcome of an operation, of which only a text is left.
 * So status, code and text are looked at, in that order of trust. A text decides only where Azure gives nothing else.
 *
 * Source of codes and texts: Azure/karpenter-provider-azure, commonerrorhandlers.go; Microsoft's pages on throttling,
 * allocation failures and spot error codes.
 */
import type { BlockReason, Refusal } from './fleet.ts';

/** What is left of an answer, or of its absence. */
export interface ArmFailure {
  /** Null where there was no answer, and for the outcome of an operation. */
  readonly status: number | null;
  readonly code: string | null;
  readonly message: string;
  readonly retryAfterMs: number | null;
}

/** What had been asked for: a pool that has some instances was to have more. */
export interface Raise {
  readonly kind: 'spot' | 'on-demand';
  readonly from: number;
  readonly to: number;
}

const MESSAGE_LENGTH_MAX = 300;

type Meaning = BlockReason | ((kind: Raise['kind'] | null) => BlockReason);

/** Azure's codes, wherever they stand: some come wrapped, and then only the text has them. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  TooManyRequests: 'throttled',
  SubscriptionRequestsThrottled: 'throttled',
  ResourceRequestsThrottled: 'throttled',
  QuotaExceeded: 'quota',
  ResourceQuotaExceeded: 'quota',
  // Of a spot machine it says that there is none free at the moment; of another that the size is not offered.
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
const IN_TEXT = new RegExp(`\\b(${CODES.join('|')})\\b`);

const QUOTA_TEXT = /exceeding (?:approved .+? quota|quota limits?)/i;
const QUOTA_NUMBERS = {
  limit: /(?:Current Limit|Maximum allowed): (\d+)/i,
  usage: /(?:Current Usage|Current in use): (\d+)/i,
  more: /Additional (?:Required|Requested): (\d+)/i,
};

/** `raise` is null for a failed reading, and for a removal. */
export function refusalOf(failure: ArmFailure, raise: Raise | null): Refusal {
  const reason = reasonOf(failure, raise?.kind ?? null);
  return {
    reason,
    message: oneLine(failure),
    capacityThatFits: reason === 'quota' && raise !== null ? whatFits(failure.message, raise) : null,
    retryAfterMs: failure.retryAfterMs,
  };
}

function reasonOf({ status, code, message }: ArmFailure, kind: Raise['kind'] | null): BlockReason {
  if (status === 429) return 'throttled';
  if (status === 401 || status === 403) return 'forbidden';
  if (status === 412) return 'conflict';
  if (status !== null && status >= 500) return 'unreachable';
  if (QUOTA_TEXT.test(message)) return 'quota';
  const meaning = MEANINGS[code ?? ''] ?? MEANINGS[IN_TEXT.exec(message)?.[1] ?? ''];
  if (meaning !== undefined) return typeof meaning === 'function' ? meaning(kind) : meaning;
  if (status === 409) return 'conflict';
  return status === 400 || status === 404 || status === 410 ? 'unavailable' : 'unreachable';
}

/** The quota is in virtual cores; how many an instance has, the question itself tells: so many more for so many instances. */
function whatFits(message: string, { from, to }: Raise): number | null {
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
