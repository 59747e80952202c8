/**
 * Guards the scaler's control routes. Every route except `/health` and `/metrics` requires a bearer token, which is compared in
 * constant time. Each address may make a limited number of changes and of failed attempts per minute. Wrong tokens sent from an
 * address do not lock out a caller with the right token behind the same proxy.
 *
 * Every error has the shape `{"error": {"code", "message", "hint"}}`. This file never logs a header.
 */
import bearerAuth from '@fastify/bearer-auth';
import rateLimit from '@fastify/rate-limit';
import type { z } from 'zod';

import { complaintOf } from '../../shared/runtime/complain.ts';
import {
  type ErrorCode,
  FleetError,
  PermanentError,
  TransientError,
  describeError,
} from '../../shared/runtime/errors.ts';
import type { createHttp } from '../../shared/runtime/http.ts';
import type { Log } from '../../shared/runtime/log.ts';

export type Http = ReturnType<typeof createHttp>;

/** Per address. A script that an operator runs needs fewer. */
const CHANGES_A_MINUTE = 30;
const FAILURES_A_MINUTE = 30;
/** After this many failures over the limit, the answer changes from 429 to 403. */
const FAILURES_BEFORE_BAN = 60;
const MINUTE_MS = 60_000;
const BODY_BYTES_MAX = 16 * 1024;

const STATUS: Partial<Record<ErrorCode, number>> = {
  REQUEST_INVALID: 400,
  TOKEN_REFUSED: 401,
  ROUTE_UNKNOWN: 404,
  TOO_MANY_REQUESTS: 429,
  TOKEN_NOT_SET: 503,
  STORAGE_UNAVAILABLE: 503,
};

/** Options of a route that changes something. */
export const CHANGE_ROUTE = {
  bodyLimit: BODY_BYTES_MAX,
  config: { rateLimit: { max: CHANGES_A_MINUTE, timeWindow: MINUTE_MS } },
} as const;

export interface GuardedRoutes {
  /** Null where none is set: then every route answers TOKEN_NOT_SET. */
  readonly token: string | null;
  readonly log: Log;
  readonly routes: (guarded: Http) => void;
}

export async function addGuardedRoutes(http: Http, { token, log, routes }: GuardedRoutes): Promise<void> {
  http.setNotFoundHandler((request, reply) =>
    reply.code(404).send({ error: complaintOf(routeUnknown(request.method, request.url)) }),
  );
  await http.register(async (guarded: Http) => {
    await guarded.register(rateLimit, {
      global: false,
      errorResponseBuilder: (_, { after }) => tooMany(after),
    });
    await guarded.register(bearerAuth, { keys: token === null ? [] : [token], addHook: false });
    const failures = guarded.createRateLimit({
      max: FAILURES_A_MINUTE,
      timeWindow: MINUTE_MS,
      ban: FAILURES_BEFORE_BAN,
    });
    guarded.addHook('onRequest', async (request, reply) => {
      if (token === null) throw tokenNotSet();
      const isAuthorized = await new Promise<boolean>((resolve) => {
        guarded.verifyBearerAuth?.(request, reply, (error) => resolve(error === undefined));
      });
      if (isAuthorized) return;
      const failed = await failures(request);
      if (failed.isAllowed || !failed.isExceeded) throw tokenRefused();
      void reply.header('retry-after', failed.ttlInSeconds);
      throw failed.isBanned ? new AddressRefusedError() : tooMany(`${failed.ttlInSeconds} s`);
    });
    guarded.setErrorHandler((error, request, reply) => {
      const fleetError = asFleetError(error);
      const status = fleetError instanceof AddressRefusedError ? 403 : (STATUS[fleetError.code] ?? 500);
      if (status === 500) log.error({ error, method: request.method }, 'request failed');
      if (status === 401) void reply.header('www-authenticate', 'Bearer');
      return reply.code(status).send({ error: complaintOf(fleetError) });
    });
    routes(guarded);
  });
}

/** Parses a body or a query. Throws REQUEST_INVALID with every fault. */
export function parsedRequest<S extends z.ZodType>(schema: S, given: unknown): z.output<S> {
  const { success, data, error } = schema.safeParse(given);
  if (success) return data;
  const faults = error.issues.map(({ path, message }) => {
    const where = path.map(String).join('.');
    return where === '' ? message : `${where}: ${message}`;
  });
  throw requestInvalid(`The request is invalid: ${faults.join('; ')}.`);
}

function requestInvalid(message: string): PermanentError {
  return new PermanentError('REQUEST_INVALID', message, {
    hint: 'See docs/control-api.md, or run `npm run scale -- --help`.',
  });
}

/** Keeps a FleetError. What fastify rejects (malformed JSON, body too long) becomes REQUEST_INVALID, everything else INTERNAL. */
function asFleetError(error: unknown): FleetError {
  if (error instanceof FleetError) return error;
  const status =
    typeof error === 'object' && error !== null && 'statusCode' in error ? error.statusCode : 500;
  if (typeof status === 'number' && status >= 400 && status < 500)
    return requestInvalid(`Cannot read the request: ${describeError(error)}.`);
  return new TransientError('INTERNAL', 'The scaler failed to process the request.', {
    hint: 'Try again. If it fails again, look for the cause in the log of the scaler.',
    cause: error,
  });
}

function tokenNotSet(): FleetError {
  return new PermanentError('TOKEN_NOT_SET', 'This scaler has no token, so it rejects every request.', {
    hint: 'Set FRAMEFLEET_SCALER_TOKEN or FRAMEFLEET_SCALER_TOKEN_FILE for the scaler, and restart it.',
  });
}

function tokenRefused(): FleetError {
  return new PermanentError('TOKEN_REFUSED', 'The token is missing or wrong.', {
    hint: 'Send `Authorization: Bearer TOKEN`. For the commands, set FRAMEFLEET_SCALER_TOKEN.',
  });
}

function tooMany(after: string): FleetError {
  return new TransientError('TOO_MANY_REQUESTS', 'Too many requests from this address.', {
    hint: `Try again in ${after}.`,
  });
}

/** For an address that keeps sending wrong tokens: the same code, with status 403. */
class AddressRefusedError extends TransientError {
  constructor() {
    super('TOO_MANY_REQUESTS', 'This address is blocked after too many wrong tokens.', {
      hint: 'Stop sending requests, check the token, and try again in a minute.',
    });
  }
}

function routeUnknown(method: string, url: string): FleetError {
  return new PermanentError('ROUTE_UNKNOWN', `No such route: ${method} ${url.replace(/\?.*$/s, '')}.`, {
    hint: 'The routes are /health/live, /health/ready, /metrics, /override, /status and /explain.',
  });
}
