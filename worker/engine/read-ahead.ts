/** Keeps frames decoded ahead of the model: the source works while the device does. */
import type { FrameBuffer, FramePool } from './frame-pool.ts';

/** Reads this many frames from the source before they are asked for. An error of the source is thrown when its frame is due. */
export class ReadAhead implements AsyncDisposable {
  readonly #source: AsyncGenerator<FrameBuffer, void>;
  readonly #pool: FramePool;
  readonly #ahead: Promise<IteratorResult<FrameBuffer, void>>[] = [];

  constructor(source: AsyncGenerator<FrameBuffer, void>, pool: FramePool, frames: number) {
    this.#source = source;
    this.#pool = pool;
    for (let count = 0; count < frames; count += 1) this.#pull();
  }

  /** The next frame; undefined after the last one. */
  async next(): Promise<FrameBuffer | undefined> {
    const next = await this.#ahead.shift();
    if (next === undefined || next.done === true) return undefined;
    this.#pull();
    return next.value;
  }

  #pull(): void {
    const next = this.#source.next();
    next.catch(() => undefined);
    this.#ahead.push(next);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = this.#source.return();
    for (const result of await Promise.allSettled(this.#ahead))
      if (result.status === 'fulfilled' && result.value.done !== true)
        this.#pool.giveBack(result.value.value);
    await ended.catch(() => undefined);
  }
}
