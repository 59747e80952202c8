/**
 * The clock of storage. The service offers no way to read it, so the scaler writes a blob once a minute and takes its last-modified
 * time. Between two writes, the scaler's own clock continues from there.
 *
 * Heartbeats are dated by storage. With the same clock on both sides, a wrong clock cannot make a worker look dead.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { CLOCK_BLOB } from '../../shared/contract/blob-names.ts';
import type { Clock } from '../../shared/runtime/clock.ts';

const WRITE_EVERY_MS = 60_000;
/** The service rounds down to whole seconds: half a second is the average error. */
const HALF_A_SECOND_MS = 500;

export class StorageClock {
  readonly #blobs: Pick<BlobStore, 'put' | 'stat'>;
  readonly #clock: Clock;
  /** Wall time at monotonic time 0: with it, the next process can continue this one's monotonic time. */
  readonly #originMs: number;
  #aheadMs = 0;
  #measuredAtMs = Number.NEGATIVE_INFINITY;

  constructor({ blobs, clock }: { readonly blobs: Pick<BlobStore, 'put' | 'stat'>; readonly clock: Clock }) {
    this.#blobs = blobs;
    this.#clock = clock;
    this.#originMs = clock.now().getTime() - clock.monotonicMs();
  }

  /** Throws if storage cannot be reached; the next call tries again. */
  async now(): Promise<Date> {
    if (this.#clock.monotonicMs() - this.#measuredAtMs >= WRITE_EVERY_MS) await this.#measure();
    return new Date(this.#clock.now().getTime() + this.#aheadMs);
  }

  /** Never jumps within a process, and the next process continues it: memory that survives restarts is dated by it. */
  steadyMs(): number {
    return this.#originMs + this.#clock.monotonicMs();
  }

  async #measure(): Promise<void> {
    const beforeMs = this.#clock.now().getTime();
    await this.#blobs.put('control', CLOCK_BLOB, '');
    const afterMs = this.#clock.now().getTime();
    const written = await this.#blobs.stat('control', CLOCK_BLOB);
    if (written === undefined) throw new Error('expected the clock blob, which was just written');
    const middleMs = (beforeMs + afterMs) / 2;
    this.#aheadMs = written.lastModifiedAt.getTime() + HALF_A_SECOND_MS - middleMs;
    this.#measuredAtMs = this.#clock.monotonicMs();
  }
}
