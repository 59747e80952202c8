/** Limits how long to wait for work that may never end. Work that ignores its signal continues, and its result is dropped. */
import { type Clock, rest } from './clock.ts';

export interface TimeBound {
  readonly clock: Clock;
  readonly boundMs: number;
  readonly signal?: AbortSignal;
}

/** Rejects with the work's error, when the bound is over, or with the signal's reason. Aborts the work's signal at the end. */
export async function within<T>(
  work: (signal: AbortSignal) => Promise<T>,
  { clock, boundMs, signal }: TimeBound,
): Promise<T> {
  signal?.throwIfAborted();
  const over = new AbortController();
  const both = signal === undefined ? over.signal : AbortSignal.any([over.signal, signal]);
  const late = rest(clock, boundMs, both).then((): never => {
    signal?.throwIfAborted();
    throw new Error(`no answer within ${boundMs} ms`);
  });
  late.catch(() => undefined); // It is only needed in the race below.
  try {
    return await Promise.race([work(both), late]);
  } finally {
    over.abort();
  }
}
