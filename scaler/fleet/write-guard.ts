/**
 * How often a scale set may be written to, whatever is asked of it. The time is given.
 *
 * Azure bears four changes a minute of a scale set in the long run, and answers more with minutes of silence (429 with a
 * Retry-After of up to 20 minutes has been seen). So no minute has more than four, removals included, and where Azure has asked
 * to be left alone, it is.
 */
const WRITES_MAX = 4;
const WINDOW_MS = 60_000;

export class WriteGuard {
  /** Of the last minute. */
  #writesAtMs: readonly number[] = [];
  #closedUntilMs = Number.NEGATIVE_INFINITY;

  /** Zero where a write is admitted, and counted; otherwise how long to wait. */
  admit(nowMs: number): number {
    this.#writesAtMs = this.#writesAtMs.filter((atMs) => atMs > nowMs - WINDOW_MS);
    const [oldestAtMs] = this.#writesAtMs;
    const fullForMs =
      this.#writesAtMs.length < WRITES_MAX || oldestAtMs === undefined ? 0 : oldestAtMs + WINDOW_MS - nowMs;
    const waitMs = Math.max(0, fullForMs, this.#closedUntilMs - nowMs);
    if (waitMs === 0) this.#writesAtMs = [...this.#writesAtMs, nowMs];
    return waitMs;
  }

  /** Azure asked for it. */
  closeFor(durationMs: number, nowMs: number): void {
    this.#closedUntilMs = Math.max(this.#closedUntilMs, nowMs + durationMs);
  }
}
