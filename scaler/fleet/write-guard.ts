/**
 * Limits the writes to a scale set. The caller passes the time.
 *
 * In the long run, Azure allows four changes per minute of a scale set. It answers more with 429 and a Retry-After of up to 20
 * minutes. This guard admits at most four writes in any minute, including removals, and none while a Retry-After lasts.
 */
const WRITES_MAX = 4;
const WINDOW_MS = 60_000;

export class WriteGuard {
  /** Times of the writes in the last minute. */
  #writesAtMs: readonly number[] = [];
  #closedUntilMs = Number.NEGATIVE_INFINITY;

  /** Returns 0 and counts the write if it is admitted, otherwise the time to wait. */
  admit(nowMs: number): number {
    this.#writesAtMs = this.#writesAtMs.filter((atMs) => atMs > nowMs - WINDOW_MS);
    const [oldestAtMs] = this.#writesAtMs;
    const fullForMs =
      this.#writesAtMs.length < WRITES_MAX || oldestAtMs === undefined ? 0 : oldestAtMs + WINDOW_MS - nowMs;
    const waitMs = Math.max(0, fullForMs, this.#closedUntilMs - nowMs);
    if (waitMs === 0) this.#writesAtMs = [...this.#writesAtMs, nowMs];
    return waitMs;
  }

  /** Admits no write for this time, as Azure asked. */
  closeFor(durationMs: number, nowMs: number): void {
    this.#closedUntilMs = Math.max(this.#closedUntilMs, nowMs + durationMs);
  }
}
