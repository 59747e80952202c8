/**
 * A fixed number of buffers for the pixels of frames, shared between threads.
 *
 * A frame of 1280×720 has 2.8 MB. Allocating and freeing that for each stage of each frame costs more than the stage: V8 counts it and
 * collects garbage all the time. The pool also bounds memory: a stage that wants a buffer waits until a later stage gives one back.
 */
export type FrameBuffer = Uint8Array<SharedArrayBuffer>;

export class FramePool {
  readonly #free: FrameBuffer[];
  readonly #waiting: ((buffer: FrameBuffer) => void)[] = [];

  constructor(shape: { readonly buffers: number; readonly bytesPerBuffer: number }) {
    this.#free = Array.from(
      { length: shape.buffers },
      () => new Uint8Array(new SharedArrayBuffer(shape.bytesPerBuffer)),
    );
  }

  /** Resolves when a buffer is free. Its content is undefined. */
  async take(): Promise<FrameBuffer> {
    return this.#free.pop() ?? new Promise((resolve) => this.#waiting.push(resolve));
  }

  giveBack(buffer: FrameBuffer): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(buffer);
    else next(buffer);
  }
}
