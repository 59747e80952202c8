/**
 * One call to the machine's own metadata service (IMDS), ended by the caller's signal or by its time-out. Nothing is tried again
 * here.
 */

interface MetadataCall {
  readonly url: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Posted as JSON; without it the call is a GET. */
  readonly body?: unknown;
}

/** The answer's text. Throws where it is late, or tells of no success. */
export async function askMetadataService({ url, timeoutMs, signal, body }: MetadataCall): Promise<string> {
  // One of its own per call: what AbortSignal.any makes of a signal that lives for weeks may live as long.
  const ending = new AbortController();
  const stop = (): void => ending.abort(signal?.reason);
  const timer = setTimeout(() => ending.abort(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  if (signal?.aborted === true) stop();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    const answer = await fetch(url, {
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
      headers: { Metadata: 'true', ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
      redirect: 'error',
      signal: ending.signal,
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`the metadata service answered ${answer.status}`);
    return text;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
  }
}
