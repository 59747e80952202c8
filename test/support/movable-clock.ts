/** A clock that advances only by `advance` and by sleeps, which return at once. */
import type { Clock } from '../../shared/runtime/clock.ts';

const START = Date.UTC(2026, 10, 23);

export class MovableClock implements Clock {
  #elapsedMs = 0;

  now(): Date {
    return new Date(START + this.#elapsedMs);
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  sleep(durationMs: number): Promise<void> {
    this.advance(durationMs);
    return Promise.resolve();
  }

  advance(durationMs: number): void {
    this.#elapsedMs += durationMs;
  }
}
