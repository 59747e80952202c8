/**
 * Uploads the result while ffmpeg writes it, so that a result of any size needs little room on disk.
 *
 * ffmpeg writes from front to back, and returns only to the first bytes, at the end. So parts are uploaded behind it, and each one leaves
 * a hole in the file (`fallocate`, util-linux); the front stays until ffmpeg has ended. The index of an .mp4 comes last. The blob gets it at the
 * front, because the parts of a blob may be stored in any order.
 *
 * On a system or a disk without holes, the file keeps its size until the step ends.
 */
import { execFile } from 'node:child_process';
import { type FileHandle, open } from 'node:fs/promises';
import { promisify } from 'node:util';

import type { BlockUpload } from '../../shared/azure/block-upload.ts';
import type { ResultContainer } from '../../shared/contract/encoding.ts';
import { errnoOf } from '../../shared/runtime/errors.ts';
import { indexForFront } from '../media/fast-start.ts';

const PART_BYTES = 8 * 1024 * 1024;
const UPLOADS_AT_ONCE = 4;
/** Holds the header of every container, with the fonts that a Matroska file may have attached. */
const FRONT_BYTES = 32 * 1024 * 1024;
/** For what ffmpeg writes between two segments: one of them, and the other tracks that go with it. */
const SLACK_BYTES = 64 * 1024 * 1024;
/** The room on disk that the file of a large result takes. */
export const RESULT_ROOM_BYTES = FRONT_BYTES + UPLOADS_AT_ONCE * PART_BYTES + SLACK_BYTES;

/** The header of a box, with a size of 64 bits. */
const BOX_HEADER_BYTES = 16;

const FALLOCATE = '/usr/bin/fallocate';
const run = promisify(execFile);

export class ResultUpload implements AsyncDisposable {
  readonly #path: string;
  readonly #blob: BlockUpload;
  /** The ids of the parts behind the front, in order. */
  #parts: Promise<string>[] = [];
  #file: FileHandle | undefined;
  #hasHoles = process.platform === 'linux';

  constructor(path: string, blob: BlockUpload) {
    this.#path = path;
    this.#blob = blob;
  }

  /**
   * Yields the segments that ffmpeg joins, no faster than parts of the file are uploaded. Iterate again if ffmpeg starts again. Throws the
   * error of an upload.
   */
  async *behind(segments: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
    await this.#restart();
    for await (const segment of segments) {
      yield segment;
      const size = await this.#size();
      while (this.#partsEnd + PART_BYTES <= size) await this.#startPart(PART_BYTES);
    }
  }

  /** Call it once ffmpeg has ended. Uploads the rest and makes the blob. Returns the size of the blob. Throws RangeError. */
  async finish(container: ResultContainer): Promise<number> {
    const size = await this.#size();
    const { headEnd, mediaEnd, index } = container === 'mkv' ? wholeFile(size) : await this.#readLayout(size);
    while (this.#partsEnd < mediaEnd) await this.#startPart(Math.min(PART_BYTES, mediaEnd - this.#partsEnd));
    const head = await this.#read(0, headEnd);
    const front = await this.#read(headEnd, Math.min(FRONT_BYTES, mediaEnd) - headEnd);
    const ids: string[] = [];
    for (const bytes of [head, index, front])
      for (let at = 0; at < bytes.length; at += PART_BYTES)
        ids.push(await this.#blob.putBlock(bytes.subarray(at, at + PART_BYTES)));
    await this.#blob.commit([...ids, ...(await Promise.all(this.#parts))]);
    return mediaEnd + index.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#restart();
  }

  async #restart(): Promise<void> {
    await Promise.allSettled(this.#parts);
    this.#parts = [];
    await this.#file?.close();
    this.#file = undefined;
  }

  get #partsEnd(): number {
    return FRONT_BYTES + this.#parts.length * PART_BYTES;
  }

  /** Starts the next part once few enough are underway. */
  async #startPart(bytes: number): Promise<void> {
    const start = this.#partsEnd;
    await this.#parts.at(-UPLOADS_AT_ONCE);
    const part = this.#storePart(start, bytes);
    part.catch(() => undefined); // Awaited before a later part, and at the end.
    this.#parts.push(part);
  }

  async #storePart(start: number, bytes: number): Promise<string> {
    const id = await this.#blob.putBlock(await this.#read(start, bytes));
    await this.#makeHole(start, bytes);
    return id;
  }

  async #makeHole(start: number, bytes: number): Promise<void> {
    if (!this.#hasHoles) return;
    const range = ['--offset', String(start), '--length', String(bytes)];
    try {
      await run(FALLOCATE, ['--punch-hole', ...range, this.#path]);
    } catch {
      this.#hasHoles = false;
    }
  }

  async #size(): Promise<number> {
    try {
      this.#file ??= await open(this.#path);
    } catch (error) {
      // ffmpeg makes the file when it knows all tracks.
      if (errnoOf(error) === 'ENOENT') return 0;
      throw error;
    }
    return (await this.#file.stat()).size;
  }

  async #read(start: number, bytes: number): Promise<Buffer> {
    const buffer = Buffer.alloc(bytes);
    let filled = 0;
    while (filled < bytes) {
      const { bytesRead } = (await this.#file?.read(buffer, filled, bytes - filled, start + filled)) ?? {};
      if (bytesRead === undefined || bytesRead === 0)
        throw new RangeError(`expected ${bytes} bytes of the result at ${start}, found ${filled}`);
      filled += bytesRead;
    }
    return buffer;
  }

  /** Of an .mp4 or .mov as ffmpeg writes it: `ftyp`, the media data, `moov`. */
  async #readLayout(size: number): Promise<FileLayout> {
    let headEnd = 0;
    for (let start = 0; start < size;) {
      const header = await this.#read(start, BOX_HEADER_BYTES);
      const type = header.toString('latin1', 4, 8);
      const short = header.readUInt32BE(0);
      const bytes = short === 1 ? Number(header.readBigUInt64BE(8)) : short;
      if (type === 'ftyp') headEnd = bytes;
      if (type === 'moov' && start + bytes === size)
        return { headEnd, mediaEnd: start, index: indexForFront(await this.#read(start, bytes)) };
      if (bytes < 8) break;
      start += bytes;
    }
    throw new RangeError('expected a result that ends with its index');
  }
}

interface FileLayout {
  /** Where the index belongs. */
  readonly headEnd: number;
  readonly mediaEnd: number;
  readonly index: Buffer;
}

function wholeFile(size: number): FileLayout {
  return { headEnd: 0, mediaEnd: size, index: Buffer.alloc(0) };
}
