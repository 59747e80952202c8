/**
 * The time of a worker, divided among its deliveries, which overlap: each counts from its start or from the end of the one before, whichever is
 * later. So their times add up to the time in which the worker was busy, and rates are not too low.
 */
export class BusyTime {
  #countedToMs = -Infinity;

  /** Milliseconds from the start of a delivery to now that no other delivery has counted. */
  count(startedAtMs: number, nowMs: number): number {
    const fromMs = Math.max(startedAtMs, this.#countedToMs);
    this.#countedToMs = Math.max(nowMs, this.#countedToMs);
    return Math.max(0, nowMs - fromMs);
  }
}
