/**
 * Counts a worker's attempts at frames in the last ten minutes. The scaler compares workers by these counts to tell a faulty
 * worker from a faulty job.
 */
import type { Clock } from '../../shared/runtime/clock.ts';

const WINDOW_MS = 600_000;

interface AttemptCounts {
  readonly stored: number;
  readonly failed: number;
}

export class RecentAttempts {
  readonly #clock: Clock;
  /** One entry per delivery, oldest first. */
  #deliveries: (AttemptCounts & { readonly atMs: number })[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  record(attempts: AttemptCounts): void {
    this.#deliveries.push({ ...attempts, atMs: this.#clock.monotonicMs() });
  }

  counts(): AttemptCounts {
    const sinceMs = this.#clock.monotonicMs() - WINDOW_MS;
    this.#deliveries = this.#deliveries.filter(({ atMs }) => atMs > sinceMs);
    return this.#deliveries.reduce<AttemptCounts>(
      (sum, one) => ({ stored: sum.stored + one.stored, failed: sum.failed + one.failed }),
      { stored: 0, failed: 0 },
    );
  }
}
