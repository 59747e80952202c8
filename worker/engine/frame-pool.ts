/**
 * A fixed number of buffers for the pixels of frames, shared between threads.
 *
 * A frame of 1280×720 has 2.8 MB. Allocating and freeing that for each stage of each frame costs more than the stage: V8 counts it and
 * collects garbage all the time. The pool also bounds memory: a stage that wants a buffer waits until a later stage gives one back.
 *
 * The buffers lie one after the other in one block and are used in turn. If they are given back in the order in which they were taken,
 * consecutive frames are neighbours in memory, except where the block starts again, so a micro-batch is one tensor without a copy.
 */
export type FrameBuffer = Uint8Array<SharedArrayBuffer>;

/** The run that needed the buffer has ended. */
class PoolClosedError extends Error {
  constructor() {
    super('the pool of frame buffers is closed');
  }
}

export class FramePool {
  readonly #free: FrameBuffer[];
  readonly #waiting: PromiseWithResolvers<FrameBuffer>[] = [];
  #isClosed = false;

  constructor(shape: { readonly buffers: number; readonly bytesPerBuffer: number }) {
    const { buffers, bytesPerBuffer } = shape;
    const block = new SharedArrayBuffer(buffers * bytesPerBuffer);
    this.#free = Array.from(
      { length: buffers },
      (_, number) => new Uint8Array(block, number * bytesPerBuffer, bytesPerBuffer),
    );
  }

  /** Resolves when a buffer is free; its content is undefined. Rejects with PoolClosedError. */
  async take(): Promise<FrameBuffer> {
    if (this.#isClosed) throw new PoolClosedError();
    const free = this.#free.shift();
    if (free !== undefined) return free;
    const waiting = Promise.withResolvers<FrameBuffer>();
    this.#waiting.push(waiting);
    return waiting.promise;
  }

  giveBack(buffer: FrameBuffer): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(buffer);
    else next.resolve(buffer);
  }

  /** Ends every wait for a buffer, now and later. */
  close(): void {
    this.#isClosed = true;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(new PoolClosedError());
  }
}

/** Whether the second buffer follows the first one in memory. */
export function areNeighbours(first: FrameBuffer, second: FrameBuffer): boolean {
  return first.buffer === second.buffer && first.byteOffset + first.byteLength === second.byteOffset;
}

/** One buffer for all of these, each of which is the neighbour of the one before. */
export function spanOf(buffers: readonly FrameBuffer[]): FrameBuffer {
  const [first] = buffers;
  if (first === undefined) throw new RangeError('expected one or more buffers');
  return new Uint8Array(first.buffer, first.byteOffset, first.byteLength * buffers.length);
}
