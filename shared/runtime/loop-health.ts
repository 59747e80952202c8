/**
 * Whether the loops of a service get anywhere, for its liveness probe.
 *
 * A loop that fails is repeated (`repeat.ts`), and a bad minute of storage or Redis must not restart a service. But when every
 * pass of a loop fails for minutes, or one pass does not end, the service does no work although it looks healthy. Then its
 * liveness probe fails, and the platform restarts it.
 */
import type { Clock } from './clock.ts';

/** Every pass of a loop has failed for so long: some 25 tries, at the back-off of `repeat`. */
const FAILING_MS_MAX = 300_000;
/** One pass takes so long: opening a job of a million stored frames takes two or three minutes. */
const PASS_MS_MAX = 1_800_000;

export interface LoopTrouble {
  readonly loop: string;
  readonly what: 'every pass fails' | 'a pass does not end';
  readonly forSeconds: number;
}

interface LoopState {
  /** Null between two passes. */
  passSinceMs: number | null;
  /** Null where the last pass succeeded. */
  failingSinceMs: number | null;
}

export class LoopHealth {
  readonly #clock: Clock;
  readonly #loops = new Map<string, LoopState>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A pass begins. */
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

  /** A loop that has ended on purpose is no trouble. */
  ended(loop: string): void {
    this.#loops.delete(loop);
  }

  /** The loops that get nowhere. Empty: alive. */
  troubles(): LoopTrouble[] {
    const nowMs = this.#clock.monotonicMs();
    return [...this.#loops].flatMap(([loop, { passSinceMs, failingSinceMs }]): LoopTrouble[] => {
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
