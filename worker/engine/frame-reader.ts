/**
 * Reads raw frames from the output of a child process into buffers of a pool.
 *
 * Node's stream for a child's output allocates each chunk: at 1280×720 that is 2.8 MB of garbage a frame, and collecting it costs more
 * than decoding. A named pipe can be read into one buffer that is used again and again.
 */
import { execFile } from 'node:child_process';
import { close, constants, open } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import type { FrameBuffer, FramePool } from './frame-pool.ts';

/** The capacity of a pipe on Linux. */
const CHUNK_BYTES = 65_536;

const openDescriptor = promisify(open);
const closeDescriptor = promisify(close);

/** The output ends within a frame, or stalls. */
export class FrameOutputError extends Error {}

export interface FrameReaderOptions {
  readonly frameBytes: number;
  /** How long the start of a frame may take, and the rest of it once there is a buffer for it. */
  readonly stalledMs: number;
  readonly pool: FramePool;
}

export async function openFrameReader(options: FrameReaderOptions): Promise<FrameReader> {
  const folder = await mkdtemp(path.join(tmpdir(), 'framefleet-pipe-'));
  const fifo = path.join(folder, 'frames');
  try {
    await promisify(execFile)('mkfifo', ['-m', '600', fifo]);
    // Without O_NONBLOCK, opening one end waits for the other.
    const readEnd = await openDescriptor(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
    const writeEnd = await openDescriptor(fifo, constants.O_WRONLY).catch(async (error: unknown) => {
      await closeDescriptor(readEnd);
      throw error;
    });
    // A pipe without a writer counts as ended, so nothing reads before this.
    return new FrameReader(new ChunkReader(readEnd), writeEnd, options);
  } finally {
    // Both ends stay open without the name.
    await rm(folder, { recursive: true, force: true });
  }
}

export class FrameReader implements AsyncDisposable {
  readonly #chunks: ChunkReader;
  readonly #options: FrameReaderOptions;
  /** The file descriptor for the child's output. */
  readonly writeEnd: number;
  #isWriteEndOpen = true;

  constructor(chunks: ChunkReader, writeEnd: number, options: FrameReaderOptions) {
    this.#chunks = chunks;
    this.writeEnd = writeEnd;
    this.#options = options;
  }

  /** Call it once the child has started: the frames end when the last copy of the descriptor is closed. */
  async closeWriteEnd(): Promise<void> {
    if (!this.#isWriteEndOpen) return;
    this.#isWriteEndOpen = false;
    await closeDescriptor(this.writeEnd);
  }

  /** Yields buffers of the pool, which the caller gives back. */
  async *frames(): AsyncGenerator<FrameBuffer, void> {
    const { pool, frameBytes } = this.#options;
    // A buffer is taken only for a frame that comes: giving back an unused one would change the order of the pool.
    while (!(await this.#inTime(this.#chunks.isAtEnd()))) {
      const frame = await pool.take();
      const filled = await this.#inTime(this.#chunks.fill(frame)).catch((error: unknown) => {
        pool.giveBack(frame);
        throw error;
      });
      if (filled < frameBytes) {
        pool.giveBack(frame);
        throw new FrameOutputError(`the output ends after ${filled} of ${frameBytes} bytes of a frame`);
      }
      yield frame;
    }
  }

  async #inTime<T>(reading: Promise<T>): Promise<T> {
    const { stalledMs } = this.#options;
    const timer = setTimeout(() => {
      this.#chunks.close(new FrameOutputError(`no frame for ${Math.round(stalledMs / 1000)} s`));
    }, stalledMs);
    try {
      return await reading;
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#chunks[Symbol.dispose]();
    await this.closeWriteEnd();
  }
}

/** Reads a descriptor through one buffer, and only while `isAtEnd` or `fill` waits for bytes. */
class ChunkReader implements Disposable {
  readonly #socket: Socket;
  /** Read, and not yet taken. */
  #chunk: Uint8Array = new Uint8Array(0);
  #end: Error | 'ended' | undefined;
  #wake: () => void = () => undefined;

  /** Takes over the descriptor. */
  constructor(descriptor: number) {
    this.#socket = new Socket({
      fd: descriptor,
      onread: {
        buffer: new Uint8Array(CHUNK_BYTES),
        // Returning false pauses the socket, so the buffer stays as it is until the chunk is taken.
        callback: (bytesRead, buffer) => {
          this.#chunk = buffer.subarray(0, bytesRead);
          this.#wake();
          return false;
        },
      },
    });
    this.#socket.on('error', (error) => this.close(error));
    this.#socket.on('close', () => this.close('ended'));
  }

  /** Waits until there is a byte to read, or none left. */
  async isAtEnd(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      if (this.#end === 'ended') return true;
      if (this.#end !== undefined) throw this.#end;
      await this.#nextChunk();
    }
    return false;
  }

  /** Fills the target. Returns how many bytes there were: fewer than its length at the end. */
  async fill(target: Uint8Array): Promise<number> {
    let filled = 0;
    for (;;) {
      const taken = Math.min(this.#chunk.length, target.length - filled);
      target.set(this.#chunk.subarray(0, taken), filled);
      this.#chunk = this.#chunk.subarray(taken);
      filled += taken;
      if (filled === target.length || this.#end === 'ended') return filled;
      if (this.#end !== undefined) throw this.#end;
      await this.#nextChunk();
    }
  }

  [Symbol.dispose](): void {
    // Also closes the descriptor.
    this.#socket.destroy();
  }

  async #nextChunk(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    this.#socket.resume();
    await promise;
  }

  /** Ends `isAtEnd` and `fill`. An error is thrown by them. */
  close(end: Error | 'ended'): void {
    this.#end ??= end;
    this.#wake();
  }
}
