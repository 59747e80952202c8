/**
 * Sends a request to the configured scaler, or else to the scaler of the local fleet that `npm start` runs for this folder.
 * An error from the scaler is rethrown with its code, message and hint.
 */
import { z } from 'zod';

import { findReadyStack } from '../../shared/command/local-stack.ts';
import { parseJson } from '../../shared/contract/parse-json.ts';
import { PermanentError, TransientError, describeError, errorCodeFrom } from '../../shared/runtime/errors.ts';
import type { ScalerCommandConfig } from './config.ts';

const ANSWER_TIMEOUT_MS = 30_000;

const errorAnswer = z.object({
  error: z.object({ code: z.string(), message: z.string(), hint: z.string().nullable() }),
});

export interface ScalerRequest {
  readonly method: 'GET' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
}

/** Returns the answer, checked against `shape`. Throws FLEET_NOT_FOUND, SCALER_UNREACHABLE, or the scaler's error. */
export async function askScaler<S extends z.ZodType>(
  { method, path, body }: ScalerRequest,
  shape: S,
  config: ScalerCommandConfig,
): Promise<z.output<S>> {
  const { url, token } = await findScaler(config);
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

async function findScaler({ url, token, localFolder }: ScalerCommandConfig) {
  if (url !== undefined) return { url, token };
  const environment = await findReadyStack(localFolder);
  const localUrl = environment?.['FRAMEFLEET_SCALER_URL'];
  if (localUrl !== undefined) return { url: localUrl, token: environment?.['FRAMEFLEET_SCALER_TOKEN'] };
  throw new TransientError(
    'FLEET_NOT_FOUND',
    'No scaler found: FRAMEFLEET_SCALER_URL is not set, and no local fleet is up in this folder.',
    {
      hint: 'Run `npm start` in another shell, or set FRAMEFLEET_SCALER_URL and FRAMEFLEET_SCALER_TOKEN.',
    },
  );
}

function unreachable(url: string, why: string, cause?: unknown): TransientError {
  return new TransientError('SCALER_UNREACHABLE', `Cannot reach the scaler at ${url}: ${why}.`, {
    hint: 'Check FRAMEFLEET_SCALER_URL, and that the scaler is running and reachable from this machine.',
    cause,
  });
}
