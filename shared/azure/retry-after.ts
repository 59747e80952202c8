/**
 * How long a service asks to be left alone. PURE: the time is given.
 *
 * Source: RFC 9110, 10.2.3: `Retry-After` is whole seconds or an HTTP date. The two others are Azure's, in milliseconds, and
 * count first: they are finer.
 */
const IN_MS = ['x-ms-retry-after-ms', 'retry-after-ms'] as const;

export interface Headers {
  get(name: string): string | undefined;
}

/** Undefined where nothing is asked for, or nothing that can be read; 0 for an instant that has passed. */
export function retryAfterMs(headers: Headers, nowMs: number): number | undefined {
  for (const name of IN_MS) {
    const ms = digits(headers.get(name));
    if (ms !== undefined) return ms;
  }
  const value = headers.get('retry-after');
  const seconds = digits(value);
  if (seconds !== undefined) return seconds * 1000;
  const atMs = value === undefined ? Number.NaN : Date.parse(value);
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs);
}

function digits(value: string | undefined): number | undefined {
  return value !== undefined && /^\s*\d+\s*$/.test(value) ? Number(value) : undefined;
}
