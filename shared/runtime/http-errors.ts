/** Errors of HTTP routes: status, body, and requests that do not have the expected shape. The body is `{"error": {"code", "message", "hint"}}`. */
import type { z } from 'zod';

import { type Complaint, complaintOf } from './complain.ts';
import { type ErrorCode, FleetError, PermanentError, TransientError, describeError } from './errors.ts';

/** Of the codes that are not here: 422 for a PermanentError, 503 for a TransientError. */
const HTTP_STATUS: Partial<Record<ErrorCode, number>> = {
  REQUEST_INVALID: 400,
  TOKEN_REFUSED: 401,
  SIGN_IN_REQUIRED: 401,
  REQUEST_FORBIDDEN: 403,
  ROUTE_UNKNOWN: 404,
  JOB_UNKNOWN: 404,
  UPLOAD_UNKNOWN: 404,
  JOB_ENDED: 409,
  JOB_NOT_FINISHED: 409,
  SOURCE_TOO_LARGE: 413,
  TOO_MANY_REQUESTS: 429,
  INTERNAL: 500,
  TOKEN_NOT_SET: 503,
};

export function httpStatusOf(error: FleetError): number {
  return HTTP_STATUS[error.code] ?? (error instanceof TransientError ? 503 : 422);
}

export function errorBody(error: FleetError): { readonly error: Complaint } {
  return { error: complaintOf(error) };
}

/** Parses a body or a query. Throws REQUEST_INVALID with every fault. */
export function parsedRequest<S extends z.ZodType>(schema: S, given: unknown, hint: string): z.output<S> {
  const { success, data, error } = schema.safeParse(given);
  if (success) return data;
  const faults = error.issues.map(({ path, message }) => {
    const where = path.map(String).join('.');
    return where === '' ? message : `${where}: ${message}`;
  });
  throw new PermanentError('REQUEST_INVALID', `The request is invalid: ${faults.join('; ')}.`, { hint });
}

/**
 * Keeps a FleetError. What fastify rejects (malformed JSON, body too long) becomes REQUEST_INVALID, everything else INTERNAL. `program`
 * is the one that answers: `scaler`.
 */
export function asFleetError(error: unknown, program: string, hint: string): FleetError {
  if (error instanceof FleetError) return error;
  const status =
    typeof error === 'object' && error !== null && 'statusCode' in error ? error.statusCode : 500;
  if (typeof status === 'number' && status >= 400 && status < 500)
    return new PermanentError('REQUEST_INVALID', `Cannot read the request: ${describeError(error)}.`, {
      hint,
    });
  return new TransientError('INTERNAL', `The ${program} failed to process the request.`, {
    hint: `Try again. If it fails again, look for the cause in the log of the ${program}.`,
    cause: error,
  });
}

export function tooManyRequests(after: string): FleetError {
  return new TransientError('TOO_MANY_REQUESTS', 'Too many requests from this address.', {
    hint: `Try again in ${after}.`,
  });
}

/** `routes`: those that exist, as a sentence. */
export function routeUnknown(method: string, url: string, routes: string): FleetError {
  return new PermanentError('ROUTE_UNKNOWN', `No such route: ${method} ${url.replace(/\?.*$/s, '')}.`, {
    hint: routes,
  });
}
