/**
 * A loop that does one pass and says how long to rest. A pass that fails is logged and repeated after a back-off: a bad
 * minute of storage or Redis must not take a service down. A PermanentError does: it would never get better.
 */
import { type BackoffLimits, backoffMs } from './backoff.ts';
import { type Clock, rest } from './clock.ts';
import { PermanentError } from './errors.ts';
import type { Log } from './log.ts';
import type { LoopHealth } from './loop-health.ts';

const AFTER_FAILURE: BackoffLimits = { minMs: 250, maxMs: 15_000 };

export interface Repeated {
  readonly name: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Told how each pass went. */
  readonly health?: LoopHealth;
  /** One pass; returns the milliseconds to rest before the next. */
  readonly pass: () => Promise<number>;
}

/** Returns when the signal is aborted; rejects with a PermanentError of a pass. */
export async function repeat({ name, clock, log, signal, health, pass }: Repeated): Promise<void> {
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
