/**
 * Guards the routes of the page.
 *
 * - Every answer has a strict content security policy: own files only, no inline code, no frames.
 * - A request must name a host under which the page is known. Else another site could reach the page through a DNS name of its own.
 * - All but the files of the page need a session, and must not be asked for by another site. A request that changes something must come from the
 *   page itself, which the browser attests in `Sec-Fetch-Site` or `Origin`.
 * - Each address may make a limited number of changes and of failed sign-ins per minute.
 */
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';

import type { Clock } from '../../shared/runtime/clock.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import {
  asFleetError,
  errorBody,
  httpStatusOf,
  routeUnknown,
  tooManyRequests,
} from '../../shared/runtime/http-errors.ts';
import type { Http, HttpRequest } from '../../shared/runtime/http.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { type PageSignIn, type Visitor, addSignIn, signInRequired, visitorOf } from './sign-in.ts';

/** A person at the page needs fewer; a folder of images is uploaded with one request each. */
const CHANGES_A_MINUTE = 600;
const SIGN_INS_A_MINUTE = 30;
const MINUTE_MS = 60_000;
const BODY_BYTES_MAX = 64 * 1024;
/** For a request that is not as expected. */
export const PAGE_HINT = 'See docs/page.md.';
const READING = new Set(['GET', 'HEAD', 'OPTIONS']);

export const PAGE_CHANGE_ROUTE = {
  bodyLimit: BODY_BYTES_MAX,
  config: { rateLimit: { max: CHANGES_A_MINUTE, timeWindow: MINUTE_MS } },
} as const;
export const SIGN_IN_ROUTE = {
  bodyLimit: BODY_BYTES_MAX,
  config: { rateLimit: { max: SIGN_INS_A_MINUTE, timeWindow: MINUTE_MS }, access: 'own site' },
} as const;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whom the route answers: by default those who are signed in, and only from the page itself. */
    readonly access?: 'anyone' | 'own site';
  }
  interface FastifyRequest {
    visitor: Visitor | null;
  }
}

export interface PageGuardOptions {
  readonly signIn: PageSignIn;
  /** Names beside those of this machine, in lower case, without a port. */
  readonly hosts: readonly string[];
  /** Of the inline scripts of the page. */
  readonly scriptHashes: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
}

const LOOPBACK_HOSTS = ['127.0.0.1', 'localhost', '[::1]'];

export async function addPageGuard(http: Http, options: PageGuardOptions): Promise<void> {
  const { signIn, clock, log } = options;
  await http.register(helmet, securityHeaders(options.scriptHashes));
  await http.register(rateLimit, {
    global: false,
    errorResponseBuilder: (_, { after }) => tooManyRequests(after),
  });
  await addSignIn(http, signIn);
  http.decorateRequest('visitor', null);
  const hosts = new Set([...LOOPBACK_HOSTS, ...options.hosts]);
  http.addHook('onRequest', (request, reply, next) => {
    requireKnownHost(request, hosts);
    // By the route and not by the path, which can be written in several ways.
    const { access } = request.routeOptions.config;
    if (access === 'anyone' || request.is404) return next();
    // A route that lets the browser keep its answer says so itself.
    void reply.header('cache-control', 'no-store');
    requireOwnSite(request);
    request.visitor = visitorOf(request, signIn, clock) ?? null;
    if (request.visitor === null && access !== 'own site') throw signInRequired();
    next();
  });
  http.setNotFoundHandler((request, reply) =>
    reply.code(404).send(errorBody(routeUnknown(request.method, request.url, PAGE_HINT))),
  );
  http.setErrorHandler((error, request, reply) => {
    const fleetError = asFleetError(error, 'producer', PAGE_HINT);
    const status = httpStatusOf(fleetError);
    if (status === 500) log.error({ error, method: request.method }, 'request failed');
    return reply.code(status).send(errorBody(fleetError));
  });
}

function securityHeaders(scriptHashes: readonly string[]) {
  return {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'", ...scriptHashes],
        styleSrc: ["'self'"],
        // Pictures that a visitor drops are shown before they are uploaded.
        imgSrc: ["'self'", 'blob:'],
        mediaSrc: ["'self'", 'blob:'],
        connectSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
    crossOriginEmbedderPolicy: true,
    crossOriginOpenerPolicy: { policy: 'same-origin' },
    crossOriginResourcePolicy: { policy: 'same-origin' },
    referrerPolicy: { policy: 'no-referrer' },
    xFrameOptions: { action: 'deny' },
  } as const;
}

function requireKnownHost({ headers }: HttpRequest, hosts: ReadonlySet<string>): void {
  const name = (headers.host ?? '').toLowerCase().replace(/:\d*$/, '');
  if (hosts.has(name)) return;
  throw forbidden('This page is not known under the name that the request uses.');
}

function requireOwnSite({ method, headers }: HttpRequest): void {
  const site = headers['sec-fetch-site'];
  const isRead = READING.has(method);
  const isOwn =
    site === undefined
      ? isRead || isOwnOrigin(headers.origin, headers.host)
      : site === 'same-origin' || (isRead && site === 'none');
  if (!isOwn) throw forbidden('The request does not come from this page.');
}

function isOwnOrigin(origin: string | undefined, host: string | undefined): boolean {
  return origin !== undefined && host !== undefined && URL.canParse(origin) && new URL(origin).host === host;
}

function forbidden(message: string): PermanentError {
  return new PermanentError('REQUEST_FORBIDDEN', message, {
    hint: 'Open the page at its own address. Behind a proxy, list its name in FRAMEFLEET_PAGE_HOSTS.',
  });
}
