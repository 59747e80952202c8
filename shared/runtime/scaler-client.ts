/** Sends a request to a scaler's control API. An error from the scaler is rethrown with its code, message and hint. */
import { z } from 'zod';

import { parseJson } from '../contract/parse-json.ts';
import { PermanentError, TransientError, describeError, errorCodeFrom } from './errors.ts';

const ANSWER_TIMEOUT_MS = 30_000;

const errorAnswer = z.object({
  error: z.object({ code: z.string(), message: z.string(), hint: z.string().nullable() }),
});

export interface ScalerAddress {
  readonly url: string;
  readonly token: string | undefined;
}

export interface ScalerRequest {
  readonly method: 'GET' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
}

/** Returns the answer, checked against `shape`. Throws SCALER_UNREACHABLE, or the scaler's error. */
export async function requestScaler<S extends z.ZodType>(
  { method, path, body }: ScalerRequest,
  shape: S,
  { url, token }: ScalerAddress,
): Promise<z.output<S>> {
  const answer = await reach(new URL(path, url), {
    method,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
  });
  if (answer.isGood) {
    const { success, data } = shape.safeParse(answer.json);
    if (success) return data;
    throw unreachable(url, 'the answer is not from a scaler, or from another release');
  }
  const { success, data } = errorAnswer.safeParse(answer.json);
  if (!success) throw unreachable(url, `it answered with status ${answer.status}`);
  const { code, message, hint } = data.error;
  throw new PermanentError(errorCodeFrom(code), message, hint === null ? {} : { hint });
}

async function reach(url: URL, init: RequestInit) {
  try {
    const response = await fetch(url, init);
    const { ok: isGood, status } = response;
    return { isGood, status, json: parseJson(await response.text()) };
  } catch (cause) {
    throw unreachable(url.origin, describeError(cause), cause);
  }
}

function unreachable(url: string, why: string, cause?: unknown): TransientError {
  return new TransientError('SCALER_UNREACHABLE', `Cannot reach the scaler at ${url}: ${why}.`, {
    hint: 'Check FRAMEFLEET_SCALER_URL, and that the scaler is running and reachable from this machine.',
    cause,
  });
}
