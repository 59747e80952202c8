/**
 * Tracks whether the loops of a service make progress, for its liveness probe.
 *
 * A failed pass is repeated (`repeat.ts`), and a short fault of storage or Redis must not restart the service. But if every
 * pass of a loop fails for minutes, or a pass does not end, the service does no work. Then its liveness probe fails, and the
 * platform restarts it.
 */
import type { Clock } from './clock.ts';

/** A loop is stuck if all of its passes fail for this long: about 25 passes, with the back-off of `repeat`. */
const FAILING_MS_MAX = 300_000;
/** A loop is stuck if a pass takes this long. Opening a job with a million stored frames takes two or three minutes. */
const PASS_MS_MAX = 1_800_000;

export interface StuckLoop {
  readonly loop: string;
  readonly what: 'every pass fails' | 'a pass does not end';
  readonly forSeconds: number;
}

interface LoopState {
  /** When the current pass started; null between passes. */
  passSinceMs: number | null;
  /** When the first of the consecutive failures occurred; null if the last pass succeeded. */
  failingSinceMs: number | null;
}

export class LoopHealth {
  readonly #clock: Clock;
  readonly #loops = new Map<string, LoopState>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A pass has started. */
  started(loop: string): void {
    const failingSinceMs = this.#loops.get(loop)?.failingSinceMs ?? null;
    this.#loops.set(loop, { passSinceMs: this.#clock.monotonicMs(), failingSinceMs });
  }

  succeeded(loop: string): void {
    this.#loops.set(loop, { passSinceMs: null, failingSinceMs: null });
  }

  failed(loop: string): void {
    const failingSinceMs = this.#loops.get(loop)?.failingSinceMs ?? this.#clock.monotonicMs();
    this.#loops.set(loop, { passSinceMs: null, failingSinceMs });
  }

  /** The loop has ended on purpose: it no longer counts. */
  ended(loop: string): void {
    this.#loops.delete(loop);
  }

  /** The loops that make no progress. Empty if the service is live. */
  stuckLoops(): StuckLoop[] {
    const nowMs = this.#clock.monotonicMs();
    return [...this.#loops].flatMap(([loop, { passSinceMs, failingSinceMs }]): StuckLoop[] => {
      const failingMs = failingSinceMs === null ? 0 : nowMs - failingSinceMs;
      const passMs = passSinceMs === null ? 0 : nowMs - passSinceMs;
      if (failingMs >= FAILING_MS_MAX)
        return [{ loop, what: 'every pass fails', forSeconds: Math.round(failingMs / 1000) }];
      if (passMs >= PASS_MS_MAX)
        return [{ loop, what: 'a pass does not end', forSeconds: Math.round(passMs / 1000) }];
      return [];
    });
  }
}
