/**
 * Storage's time, without a promise of the service to tell it: a blob is written now and then, and when it was written is what the
 * clock there said. The difference to our own is kept; between two looks our own clock goes on.
 *
 * Heartbeats are dated by storage. With its clock on both sides, nobody's clock can make a worker look dead.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { CLOCK_BLOB } from '../../shared/contract/blob-names.ts';
import type { Clock } from '../../shared/runtime/clock.ts';

const LOOK_EVERY_MS = 60_000;
/** The service tells whole seconds, rounded down: half of one is right on average. */
const HALF_A_SECOND_MS = 500;

export class StorageClock {
  readonly #blobs: Pick<BlobStore, 'put' | 'stat'>;
  readonly #clock: Clock;
  /** Wall time when this process began, by which monotonic time can be told to the process after this one. */
  readonly #originMs: number;
  #aheadMs = 0;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor({ blobs, clock }: { readonly blobs: Pick<BlobStore, 'put' | 'stat'>; readonly clock: Clock }) {
    this.#blobs = blobs;
    this.#clock = clock;
    this.#originMs = clock.now().getTime() - clock.monotonicMs();
  }

  /** Throws where storage cannot be asked; asks again at the next call then. */
  async now(): Promise<Date> {
    if (this.#clock.monotonicMs() - this.#lookedAtMs >= LOOK_EVERY_MS) await this.#look();
    return new Date(this.#clock.now().getTime() + this.#aheadMs);
  }

  /** Never jumps within a process, and goes on in the next one: what is remembered across restarts is dated by it. */
  steadyMs(): number {
    return this.#originMs + this.#clock.monotonicMs();
  }

  async #look(): Promise<void> {
    const beforeMs = this.#clock.now().getTime();
    await this.#blobs.put('control', CLOCK_BLOB, '');
    const afterMs = this.#clock.now().getTime();
    const written = await this.#blobs.stat('control', CLOCK_BLOB);
    if (written === undefined) throw new Error('expected the blob that was just written');
    const middleMs = (beforeMs + afterMs) / 2;
    this.#aheadMs = written.lastModifiedAt.getTime() + HALF_A_SECOND_MS - middleMs;
    this.#lookedAtMs = this.#clock.monotonicMs();
  }
}
