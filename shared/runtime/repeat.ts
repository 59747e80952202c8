/**
 * Runs a loop of passes, each of which returns how long to rest before the next. A failed pass is logged and repeated after a
 * back-off, so that a temporary fault of storage or Redis does not stop the service. A PermanentError ends the loop.
 */
import { type BackoffLimits, backoffMs } from './backoff.ts';
import { type Clock, rest } from './clock.ts';
import { PermanentError } from './errors.ts';
import type { Log } from './log.ts';
import type { LoopHealth } from './loop-health.ts';

const AFTER_FAILURE: BackoffLimits = { minMs: 250, maxMs: 15_000 };

export interface RepeatedLoop {
  readonly name: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Records the outcome of each pass. */
  readonly health?: LoopHealth;
  /** Does one pass. Returns the milliseconds to rest before the next. */
  readonly pass: () => Promise<number>;
}

/** Resolves when the signal is aborted; rejects with the PermanentError of a pass. */
export async function repeat({ name, clock, log, signal, health, pass }: RepeatedLoop): Promise<void> {
  using _ended = { [Symbol.dispose]: () => health?.ended(name) };
  let failures = 0;
  while (!signal.aborted) {
    let restMs: number;
    health?.started(name);
    try {
      restMs = await pass();
      failures = 0;
      health?.succeeded(name);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof PermanentError) throw error;
      failures += 1;
      health?.failed(name);
      restMs = backoffMs(failures, AFTER_FAILURE, Math.random());
      log.warn({ error, pass: name, failures, restMs }, 'pass failed');
    }
    if (restMs > 0) await rest(clock, restMs, signal);
  }
}
