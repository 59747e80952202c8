/**
 * The HTTP server of every service: `/health/live`, `/health/ready` and `/metrics`. A room adds its own routes, or a second server.
 *
 * `live` is false if a loop is stuck and the service needs a restart. `ready` is true if the service can take work.
 */
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';

import { PermanentError, errnoOf } from './errors.ts';
import type { LoopHealth } from './loop-health.ts';
import type { Registry } from './metrics.ts';

export type Http = FastifyInstance;
export type HttpRequest = FastifyRequest;
export type HttpReply = FastifyReply;

export interface HttpAddress {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
}

export interface HttpOptions {
  readonly registry: Registry;
  readonly health: LoopHealth;
  /** An additional condition for `live`. */
  readonly isLive?: () => boolean;
  readonly isReady: () => boolean;
}

/** A server without routes. */
export function createPlainHttp(): Http {
  return fastify({ logger: false, forceCloseConnections: true });
}

export function createHttp({ registry, health, isLive, isReady }: HttpOptions): Http {
  const http = createPlainHttp();
  http.get('/health/live', (_request, reply) => {
    const troubles = health.stuckLoops();
    const live = troubles.length === 0 && (isLive?.() ?? true);
    return reply.code(live ? 200 : 503).send(troubles.length === 0 ? { live } : { live, troubles });
  });
  http.get('/health/ready', (_request, reply) =>
    reply.code(isReady() ? 200 : 503).send({ ready: isReady() }),
  );
  http.get('/metrics', async (_request, reply) =>
    reply.type(registry.contentType).send(await registry.metrics()),
  );
  return http;
}

/** Starts to listen. Returns the port. Throws CONFIG_INVALID if the port is in use; `variable` is the one that sets it. */
export async function listen(
  http: Http,
  { host, port }: HttpAddress,
  variable = 'FRAMEFLEET_HTTP_PORT',
): Promise<number> {
  try {
    await http.listen({ host, port });
  } catch (cause) {
    if (errnoOf(cause) !== 'EADDRINUSE') throw cause;
    throw new PermanentError('CONFIG_INVALID', `Port ${port} on ${host} is in use by another program.`, {
      hint: `Stop that program, or set ${variable} to another port (0 takes any free port).`,
      cause,
    });
  }
  const address = http.server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}
