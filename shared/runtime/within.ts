/** A bound on how long is waited for something that may never answer. What it does after that is nobody's business. */
import { type Clock, rest } from './clock.ts';

/** Rejects with what the work throws, when the bound is over, or with the signal's reason. The work's own signal ends with it. */
export async function within<T>(
  work: (signal: AbortSignal) => Promise<T>,
  {
    clock,
    boundMs,
    signal,
  }: { readonly clock: Clock; readonly boundMs: number; readonly signal?: AbortSignal },
): Promise<T> {
  signal?.throwIfAborted();
  const over = new AbortController();
  const both = signal === undefined ? over.signal : AbortSignal.any([over.signal, signal]);
  const late = rest(clock, boundMs, both).then((): never => {
    signal?.throwIfAborted();
    throw new Error(`no answer within ${boundMs} ms`);
  });
  late.catch(() => undefined); // Raced below, and of no interest after that.
  try {
    return await Promise.race([work(both), late]);
  } finally {
    over.abort();
  }
}
