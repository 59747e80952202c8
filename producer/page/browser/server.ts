/**
 * Requests to the page's own server. Every failure is an `ApiFailure`: what happened, why, and what to do. A session that has ended is
 * noted in `isSignedOut`, and the page then asks for the token.
 */
import { signal } from '@preact/signals';

import type { ApiError } from '../contract.ts';

export const isSignedOut = signal(false);

export class ApiFailure extends Error {
  readonly code: string;
  readonly hint: string | null;

  constructor({ code, message, hint }: ApiError['error']) {
    super(message);
    this.name = 'ApiFailure';
    this.code = code;
    this.hint = hint;
  }
}

interface SendOptions {
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

/** `path` is below `/api/`. */
export async function ask<T>(path: string, abort?: AbortSignal): Promise<T> {
  return send('GET', path, abort === undefined ? {} : { signal: abort });
}

export async function send<T>(method: string, path: string, options: SendOptions = {}): Promise<T> {
  const { body, signal: abort } = options;
  let response: Response;
  try {
    response = await fetch(`/api/${path}`, {
      method,
      ...(abort === undefined ? {} : { signal: abort }),
      ...(body === undefined
        ? {}
        : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
  } catch (error) {
    if (abort?.aborted === true) throw error;
    throw unreachable();
  }
  const text = await response.text();
  if (!response.ok) throw failureFrom(response.status, text);
  return (text === '' ? undefined : JSON.parse(text)) as T;
}

export function unreachable(): ApiFailure {
  return new ApiFailure({
    code: 'UNREACHABLE',
    message: 'The server does not answer.',
    hint: 'Check your network connection, and that the fleet is running. Then try again.',
  });
}

export function isUnreachable(failure: ApiFailure | undefined): boolean {
  return failure?.code === 'UNREACHABLE';
}

/** The same files would be refused again. */
export function isAboutFiles({ code }: ApiFailure): boolean {
  return code.startsWith('SOURCE_') || code === 'REQUEST_INVALID';
}

export function failureFrom(status: number, text: string): ApiFailure {
  if (status === 401) isSignedOut.value = true;
  return new ApiFailure(
    errorIn(text) ?? {
      code: `HTTP_${status}`,
      message: `The server answered with status ${status}.`,
      hint: 'Try again. If it fails again, look for the cause in the log of the producer.',
    },
  );
}

function errorIn(text: string): ApiError['error'] | undefined {
  try {
    return (JSON.parse(text) as Partial<ApiError>).error;
  } catch {
    return undefined;
  }
}

/** For a notice: a failure of the page itself is shown, too. */
export function asFailure(error: unknown): ApiFailure {
  if (error instanceof ApiFailure) return error;
  return new ApiFailure({
    code: 'PAGE_FAILED',
    message: `This page failed: ${error instanceof Error ? error.message : String(error)}.`,
    hint: 'Reload the page.',
  });
}
