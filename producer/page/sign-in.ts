/**
 * Who may use the page.
 *
 * `token`: the page sends the fleet's token once and gets a signed cookie, which no script can read and no other site can send. The cookie is
 * valid for twelve hours, or until the token changes.
 *
 * `entra`: Container Apps signs people in before a request arrives here, and names the person in `X-MS-CLIENT-PRINCIPAL-NAME`. The platform
 * removes that header from requests that come from outside. Without the platform in front, anyone could send it: see `docs/threats.md`.
 */
import { createHash, timingSafeEqual } from 'node:crypto';

import cookie from '@fastify/cookie';
import { z } from 'zod';

import type { Clock } from '../../shared/runtime/clock.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import { parsedRequest } from '../../shared/runtime/http-errors.ts';
import type { Http, HttpReply, HttpRequest } from '../../shared/runtime/http.ts';

export type PageSignIn = { readonly mode: 'token'; readonly token: string } | { readonly mode: 'entra' };

const SESSION_MS = 12 * 3_600_000;
const SESSION_COOKIE = 'framefleet';
const NAME_CHARACTERS_MAX = 200;

const sessionRequest = z.object({ token: z.string().min(1).max(1000) });

export interface Visitor {
  /** Of the signed-in person; null if only the token is known. */
  readonly name: string | null;
}

export async function addSignIn(http: Http, signIn: PageSignIn): Promise<void> {
  if (signIn.mode === 'entra') return;
  // Not the token itself, so that the signature of a cookie tells nothing about another use of the token.
  const secret = sha256(`framefleet page session ${signIn.token}`);
  await http.register(cookie, { secret });
}

/** Undefined if the request is not signed in. */
export function visitorOf(request: HttpRequest, { mode }: PageSignIn, clock: Clock): Visitor | undefined {
  if (mode === 'entra') {
    const name = request.headers['x-ms-client-principal-name'];
    return typeof name === 'string' && name !== '' ? { name: name.slice(0, NAME_CHARACTERS_MAX) } : undefined;
  }
  const session = request.cookies[SESSION_COOKIE];
  if (session === undefined) return undefined;
  const { valid, value } = request.unsignCookie(session);
  return valid && Number(value) > clock.now().getTime() ? { name: null } : undefined;
}

/** Sets the cookie of a session. Throws REQUEST_INVALID, or TOKEN_REFUSED for a wrong token. */
export function startSession(
  request: HttpRequest,
  reply: HttpReply,
  { signIn, clock }: { readonly signIn: PageSignIn; readonly clock: Clock },
): void {
  if (signIn.mode === 'entra') return;
  const { token } = parsedRequest(sessionRequest, request.body, 'Send the token as JSON: {"token": "…"}.');
  if (!isSame(token, signIn.token))
    throw new PermanentError('TOKEN_REFUSED', 'The token is wrong, or from an earlier start of the fleet.', {
      hint: 'Open the address that `npm start` printed last.',
    });
  void reply.setCookie(SESSION_COOKIE, String(clock.now().getTime() + SESSION_MS), {
    ...cookieOptions(request),
    maxAge: SESSION_MS / 1000,
  });
}

export function endSession(request: HttpRequest, reply: HttpReply, { mode }: PageSignIn): void {
  if (mode === 'token') void reply.clearCookie(SESSION_COOKIE, cookieOptions(request));
}

function cookieOptions(request: HttpRequest) {
  const isSecure = request.headers['x-forwarded-proto'] === 'https';
  return { path: '/', httpOnly: true, sameSite: 'strict', signed: true, secure: isSecure } as const;
}

/** Compares in constant time; the lengths may differ. */
function isSame(given: string, expected: string): boolean {
  return timingSafeEqual(sha256(given), sha256(expected));
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

export function signInRequired(): PermanentError {
  return new PermanentError('SIGN_IN_REQUIRED', 'You are not signed in, or your sign-in has expired.', {
    hint: 'Open the address with the token that `npm start` printed. On Azure, reload the page.',
  });
}
