/**
 * Converts errors of the Azure SDK to values. PURE: the caller passes the time.
 *
 * A refused call throws a `RestError` with a status and headers. An accepted operation that fails later throws a plain error
 * (@azure/core-lro 3), so its code has to be parsed from the text.
 */
import { restFailure } from '../../shared/azure/rest-failure.ts';
import { type ResponseHeaders, retryAfterMs } from '../../shared/azure/retry-policy.ts';
import { describeError } from '../../shared/runtime/errors.ts';
import type { ArmFailure } from './arm-errors.ts';

const OPERATION_FAILED = /^The long-running operation has failed(?:\. (\w+)\. ([\s\S]*))?/;
const OPERATION_CANCELED = 'Operation was canceled';

/** For a failed call, with or without an answer. */
export function armFailureOf(error: unknown, nowMs: number): ArmFailure {
  const { response } = Object(error) as { response?: { readonly headers?: ResponseHeaders } };
  return {
    ...restFailure(error),
    message: describeError(error),
    retryAfterMs: (response?.headers && retryAfterMs(response.headers, nowMs)) ?? null,
  };
}

/** For a failed operation. Null for any other error, such as a failed poll. */
export function operationFailureOf(error: unknown): ArmFailure | null {
  if (!(error instanceof Error)) return null;
  if (error.message === OPERATION_CANCELED)
    return { status: null, code: 'OperationCanceled', message: error.message, retryAfterMs: null };
  const match = OPERATION_FAILED.exec(error.message);
  if (match === null) return null;
  return { status: null, code: match[1] ?? null, message: match[2] ?? error.message, retryAfterMs: null };
}
