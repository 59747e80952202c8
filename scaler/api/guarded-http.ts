/**
 * The routes that only the fleet's owners may use: all but `/health` and `/metrics`. They ask for a bearer token, which is
 * compared in constant time, and bear a bounded number of changes and of failures a minute from one address. Who has the token
 * is not kept out by the failures of others behind the same proxy.
 *
 * Whatever is refused is refused in the house's shape: `{"error": {"code", "message", "hint"}}`. Nothing here logs a header.
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

/** From one address: a person with a script needs less. */
const CHANGES_A_MINUTE = 30;
const FAILURES_A_MINUTE = 30;
/** So many more, and the address is told that it is no misunderstanding. */
const FAILURES_FORGIVEN = 60;
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

/** For a route that changes something. */
export const CHANGING = {
  bodyLimit: BODY_BYTES_MAX,
  config: { rateLimit: { max: CHANGES_A_MINUTE, timeWindow: MINUTE_MS } },
} as const;

/** Adds `routes` behind the guard. Without a token all of them answer how to set one. */
export async function addGuarded(
  http: Http,
  {
    token,
    log,
    routes,
  }: { readonly token: string | null; readonly log: Log; readonly routes: (guarded: Http) => void },
): Promise<void> {
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
      ban: FAILURES_FORGIVEN,
    });
    guarded.addHook('onRequest', async (request, reply) => {
      if (token === null) throw tokenNotSet();
      const isWelcome = await new Promise<boolean>((resolve) => {
        guarded.verifyBearerAuth?.(request, reply, (error) => resolve(error === undefined));
      });
      if (isWelcome) return;
      const failed = await failures(request);
      if (failed.isAllowed || !failed.isExceeded) throw tokenRefused();
      void reply.header('retry-after', failed.ttlInSeconds);
      throw failed.isBanned ? new AddressRefusedError() : tooMany(`${failed.ttlInSeconds} s`);
    });
    guarded.setErrorHandler((error, request, reply) => {
      const told = asFleetError(error);
      const status = told instanceof AddressRefusedError ? 403 : (STATUS[told.code] ?? 500);
      if (status === 500) log.error({ error, method: request.method }, 'request failed');
      if (status === 401) void reply.header('www-authenticate', 'Bearer');
      return reply.code(status).send({ error: complaintOf(told) });
    });
    routes(guarded);
  });
}

/** A body or a query as it should be. Throws REQUEST_INVALID with every fault. */
export function parsedRequest<S extends z.ZodType>(schema: S, given: unknown): z.output<S> {
  const { success, data, error } = schema.safeParse(given);
  if (success) return data;
  const faults = error.issues.map(({ path, message }) => {
    const where = path.map(String).join('.');
    return where === '' ? message : `${where}: ${message}`;
  });
  throw requestInvalid(`The request is not complete or not valid: ${faults.join('; ')}.`);
}

function requestInvalid(message: string): PermanentError {
  return new PermanentError('REQUEST_INVALID', message, {
    hint: 'See "Overrides" in scaler/README.md, or use `npm run scale -- --help`.',
  });
}

/** Those of ours as they are; what fastify refuses (no JSON, too long) is the request's fault; the rest is a mistake of ours. */
function asFleetError(error: unknown): FleetError {
  if (error instanceof FleetError) return error;
  const status =
    typeof error === 'object' && error !== null && 'statusCode' in error ? error.statusCode : 500;
  if (typeof status === 'number' && status >= 400 && status < 500)
    return requestInvalid(`The request cannot be read: ${describeError(error)}.`);
  return new TransientError('INTERNAL', 'The scaler could not do that.', {
    hint: 'Try again; its log has the cause.',
    cause: error,
  });
}

function tokenNotSet(): FleetError {
  return new PermanentError('TOKEN_NOT_SET', 'This scaler has no token, so nobody may tell it anything.', {
    hint: 'Set FRAMEFLEET_SCALER_TOKEN or FRAMEFLEET_SCALER_TOKEN_FILE for the scaler, and start it again.',
  });
}

function tokenRefused(): FleetError {
  return new PermanentError('TOKEN_REFUSED', 'The token is missing, or is not this scaler’s.', {
    hint: 'Send `Authorization: Bearer TOKEN`; for the commands, set FRAMEFLEET_SCALER_TOKEN.',
  });
}

function tooMany(after: string): FleetError {
  return new TransientError('TOO_MANY_REQUESTS', 'Too many requests from this address.', {
    hint: `Try again in ${after}.`,
  });
}

/** Whoever goes on and on: the same code, said more clearly. */
class AddressRefusedError extends TransientError {
  constructor() {
    super('TOO_MANY_REQUESTS', 'Far too many wrong tokens from this address.', {
      hint: 'Stop, find the right token, and try again in a minute.',
    });
  }
}

function routeUnknown(method: string, url: string): FleetError {
  return new PermanentError('ROUTE_UNKNOWN', `There is nothing at ${method} ${url.replace(/\?.*$/s, '')}.`, {
    hint: 'There are /health/live, /health/ready, /metrics, /override, /status and /explain.',
  });
}
