/**
 * One call to the instance's own metadata service (IMDS). The caller's signal or the time-out ends it. Retries are left to the
 * caller.
 */
import type { Clock } from '../../shared/runtime/clock.ts';
import { within } from '../../shared/runtime/within.ts';

interface MetadataCall {
  readonly url: string;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Posted as JSON. Without a body, the call is a GET. */
  readonly body?: unknown;
}

/** Returns the text of the answer. Throws if it is late or not a success. */
export async function askMetadataService(call: MetadataCall): Promise<string> {
  const { url, clock, timeoutMs, signal, body } = call;
  const ask = async (ending: AbortSignal): Promise<string> => {
    const answer = await fetch(url, {
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
      headers: { Metadata: 'true', ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
      redirect: 'error',
      signal: ending,
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`the metadata service answered ${answer.status}`);
    return text;
  };
  return within(ask, { clock, boundMs: timeoutMs, ...(signal && { signal }) });
}
