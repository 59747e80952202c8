/** The injected clock: production passes `systemClock`, tests and simulations pass their own. */
import { setTimeout as delay } from 'node:timers/promises';

export interface Clock {
  /** The wall clock, for times that people or other machines read. */
  now(): Date;
  /** Milliseconds that never jump, for deadlines and durations. */
  monotonicMs(): number;
  /** Rejects with the signal's reason when it is aborted. */
  sleep(durationMs: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  sleep: async (durationMs, signal) => {
    try {
      await delay(durationMs, undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  },
};

/** Sleeps, but returns early if the signal is aborted. For loops that check the signal themselves. */
export async function rest(clock: Clock, durationMs: number, signal: AbortSignal): Promise<void> {
  try {
    await clock.sleep(durationMs, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
