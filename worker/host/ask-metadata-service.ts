/**
 * One call to the machine's own metadata service (IMDS), ended by the caller's signal or by its time-out. Nothing is tried again
 * here.
 */
import type { Clock } from '../../shared/runtime/clock.ts';
import { within } from '../../shared/runtime/within.ts';

interface MetadataCall {
  readonly url: string;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Posted as JSON; without it the call is a GET. */
  readonly body?: unknown;
}

/** The answer's text. Throws where it is late, or tells of no success. */
export async function askMetadataService({
  url,
  clock,
  timeoutMs,
  signal,
  body,
}: MetadataCall): Promise<string> {
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
