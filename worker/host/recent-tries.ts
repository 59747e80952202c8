/**
 * How a worker's tries of frames went in the last ten minutes: what tells a worker at fault from a job at fault, when the
 * scaler compares it with what others say. Failures that are the frame's own (not a picture, not there) do not count.
 */
import type { FailureKind } from '../../shared/contract/messages.ts';
import type { Clock } from '../../shared/runtime/clock.ts';

const WINDOW_MS = 600_000;

interface Tries {
  readonly stored: number;
  readonly failed: number;
}

export class RecentTries {
  readonly #clock: Clock;
  /** One entry a delivery, oldest first. */
  #deliveries: (Tries & { readonly atMs: number })[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  record({ stored, failedAs }: { readonly stored: number; readonly failedAs: readonly FailureKind[] }): void {
    const failed = failedAs.filter((kind) => kind !== 'undecodable' && kind !== 'missing').length;
    this.#deliveries.push({ stored, failed, atMs: this.#clock.monotonicMs() });
  }

  counts(): Tries {
    const sinceMs = this.#clock.monotonicMs() - WINDOW_MS;
    this.#deliveries = this.#deliveries.filter(({ atMs }) => atMs > sinceMs);
    return this.#deliveries.reduce<Tries>(
      (sum, one) => ({ stored: sum.stored + one.stored, failed: sum.failed + one.failed }),
      { stored: 0, failed: 0 },
    );
  }
}
