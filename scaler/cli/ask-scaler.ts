/**
 * Speaks to the scaler that is configured, else to the one of the local fleet that `npm start` keeps up for this folder. What it
 * refuses is thrown as it said it, code and hint included.
 */
import { z } from 'zod';

import { findReadyStack } from '../../shared/command/local-stack.ts';
import { parseJson } from '../../shared/contract/parse-json.ts';
import { PermanentError, TransientError, describeError, errorCodeFrom } from '../../shared/runtime/errors.ts';
import type { CommandConfig } from './config.ts';

const ANSWER_MS = 30_000;

const refusal = z.object({
  error: z.object({ code: z.string(), message: z.string(), hint: z.string().nullable() }),
});

export interface Asked {
  readonly method: 'GET' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
}

/** The answer, of this shape. Throws SCALER_UNREACHABLE, or what the scaler refused it with. */
export async function askScaler<S extends z.ZodType>(
  { method, path, body }: Asked,
  shape: S,
  config: CommandConfig,
): Promise<z.output<S>> {
  const { url, token } = await findScaler(config);
  const answer = await reach(new URL(path, url), {
    method,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  if (answer.isGood) {
    const { success, data } = shape.safeParse(answer.json);
    if (success) return data;
    throw unreachable(url, 'its answer is not a scaler’s, or is of another release');
  }
  const { success, data } = refusal.safeParse(answer.json);
  if (!success) throw unreachable(url, `it answered ${answer.status}`);
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

async function findScaler({ url, token, localFolder }: CommandConfig) {
  if (url !== undefined) return { url, token };
  const environment = await findReadyStack(localFolder);
  const localUrl = environment?.['FRAMEFLEET_SCALER_URL'];
  if (localUrl !== undefined) return { url: localUrl, token: environment?.['FRAMEFLEET_SCALER_TOKEN'] };
  throw new TransientError(
    'SCALER_UNREACHABLE',
    'There is no scaler to speak to: none is configured, and no local fleet is up in this folder.',
    {
      hint: 'Start one with `npm start` in another shell, or set FRAMEFLEET_SCALER_URL and FRAMEFLEET_SCALER_TOKEN.',
    },
  );
}

function unreachable(url: string, why: string, cause?: unknown): TransientError {
  return new TransientError('SCALER_UNREACHABLE', `Cannot reach the scaler at ${url}: ${why}.`, {
    hint: 'Check FRAMEFLEET_SCALER_URL, that the scaler is up, and that this machine is let in.',
    cause,
  });
}
