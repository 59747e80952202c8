/**
 * What the SDK throws, as a value. PURE: the time is given.
 *
 * A refusal is a `RestError` with a status and headers. The failure of an operation that had been accepted is a bare error of
 * which only the text tells anything (@azure/core-lro 3): its code has to be read out of it.
 */
import { restFailure } from '../../shared/azure/rest-failure.ts';
import { type ResponseHeaders, retryAfterMs } from '../../shared/azure/retry-policy.ts';
import { describeError } from '../../shared/runtime/errors.ts';
import type { ArmFailure } from './arm-errors.ts';

const OPERATION_FAILED = /^The long-running operation has failed(?:\. (\w+)\. ([\s\S]*))?/;
const OPERATION_CANCELED = 'Operation was canceled';

/** The answer to a call that failed, or that there was none. */
export function armFailureOf(error: unknown, nowMs: number): ArmFailure {
  const { response } = Object(error) as { response?: { readonly headers?: ResponseHeaders } };
  return {
    ...restFailure(error),
    message: describeError(error),
    retryAfterMs: (response?.headers && retryAfterMs(response.headers, nowMs)) ?? null,
  };
}

/** What became of an operation that failed; null where the error tells of something else. */
export function operationFailureOf(error: unknown): ArmFailure | null {
  if (!(error instanceof Error)) return null;
  if (error.message === OPERATION_CANCELED)
    return { status: null, code: 'OperationCanceled', message: error.message, retryAfterMs: null };
  const match = OPERATION_FAILED.exec(error.message);
  if (match === null) return null;
  return { status: null, code: match[1] ?? null, message: match[2] ?? error.message, retryAfterMs: null };
}
