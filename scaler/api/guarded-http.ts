/**
 * Guards the scaler's control routes. Every route except `/health` and `/metrics` requires a bearer token, which is compared in
 * constant time. Each address may make a limited number of changes and of failed attempts per minute. Wrong tokens sent from an
 * address do not lock out a caller with the right token behind the same proxy.
 *
 * Every error has the shape `{"error": {"code", "message", "hint"}}`. This file never logs a header.
 */
import bearerAuth from '@fastify/bearer-auth';
import rateLimit from '@fastify/rate-limit';

import { type FleetError, PermanentError, TransientError } from '../../shared/runtime/errors.ts';
import {
  asFleetError,
  errorBody,
  httpStatusOf,
  routeUnknown,
  tooManyRequests,
} from '../../shared/runtime/http-errors.ts';
import type { Http } from '../../shared/runtime/http.ts';
import type { Log } from '../../shared/runtime/log.ts';

/** For a request that is not as expected. */
export const API_HINT =
  'See docs/control-api.md, or run `npm run scale -- --help` or `npm run explain -- --help`.';
const ROUTES =
  'The routes are /health/live, /health/ready, /metrics, /override, /status, /history and /explain.';

/** Per address. A script that an operator runs needs fewer. */
const CHANGES_A_MINUTE = 30;
const FAILURES_A_MINUTE = 30;
/** After this many failures over the limit, the answer changes from 429 to 403. */
const FAILURES_BEFORE_BAN = 60;
const MINUTE_MS = 60_000;
const BODY_BYTES_MAX = 16 * 1024;

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
    reply.code(404).send(errorBody(routeUnknown(request.method, request.url, ROUTES))),
  );
  await http.register(async (guarded: Http) => {
    await guarded.register(rateLimit, {
      global: false,
      errorResponseBuilder: (_, { after }) => tooManyRequests(after),
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
      throw failed.isBanned ? new AddressRefusedError() : tooManyRequests(`${failed.ttlInSeconds} s`);
    });
    guarded.setErrorHandler((error, request, reply) => {
      const fleetError = asFleetError(error, 'scaler', API_HINT);
      const status = fleetError instanceof AddressRefusedError ? 403 : httpStatusOf(fleetError);
      if (status === 500) log.error({ error, method: request.method }, 'request failed');
      if (status === 401) void reply.header('www-authenticate', 'Bearer');
      return reply.code(status).send(errorBody(fleetError));
    });
    routes(guarded);
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

/** For an address that keeps sending wrong tokens: the same code, with status 403. */
class AddressRefusedError extends TransientError {
  constructor() {
    super('TOO_MANY_REQUESTS', 'This address is blocked after too many wrong tokens.', {
      hint: 'Stop sending requests, check the token, and try again in a minute.',
    });
  }
}
