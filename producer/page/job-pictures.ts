/** Pictures of a job: its thumbnail, the cells of its contact sheet, and single frames of its source. */
import pLimit from 'p-limit';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { contactSheetBlob, pieceBlob } from '../../shared/contract/blob-names.ts';
import { piecesOf } from '../../shared/contract/source-plan.ts';
import { PermanentError, TransientError } from '../../shared/runtime/errors.ts';
import { readSourcePlan, splitInStorage } from '../jobs/source-plans.ts';
import { cutFromSheet } from '../media/contact-sheet.ts';
import { frameOfPiece } from '../media/one-frame.ts';
import { type SheetCells, sheetCellsFrom } from '../media/sheet-metadata.ts';

const FRAME_WIDTH_MAX = 640;
const THUMBNAIL_WIDTH_MAX = 320;
/** A piece is a second or two of video. It is read into memory. */
const PIECE_BYTES_MAX = 256 * 1024 * 1024;
/** An image is sent as it is. */
const IMAGE_BYTES_MAX = 32 * 1024 * 1024;
const SHEETS_KEPT = 16;
const DECODES_AT_ONCE = 2;
/** Visitors who wait for a frame. Further ones are told to come again. */
const DECODES_WAITING_MAX = 40;

interface StoredSheet {
  readonly etag: string;
  readonly jpeg: Buffer;
  readonly cells: SheetCells | undefined;
}

export interface JobPicturesOptions {
  readonly blobs: BlobStore;
  readonly signal: AbortSignal;
}

export class JobPictures {
  readonly #options: JobPicturesOptions;
  readonly #decodes = pLimit(DECODES_AT_ONCE);
  /** By job, most recently used last. */
  readonly #sheets = new Map<string, StoredSheet>();

  constructor(options: JobPicturesOptions) {
    this.#options = options;
  }

  /** The newest frame of the contact sheet, after the model; without a sheet, the first frame of the source. */
  async thumbnail(jobId: string): Promise<Buffer> {
    const sheet = await this.#sheet(jobId);
    if (sheet === undefined) return this.#decode(jobId, 0, THUMBNAIL_WIDTH_MAX);
    if (sheet.cells === undefined) return sheet.jpeg;
    const number = sheet.cells.frames.length - 1;
    return cutFromSheet(sheet.jpeg, sheet.cells, { number, half: 'right' });
  }

  /** Undefined if the sheet has no such cell. */
  async cell(jobId: string, number: number, side: 'before' | 'after'): Promise<Buffer | undefined> {
    const sheet = await this.#sheet(jobId);
    if (sheet?.cells === undefined || number >= sheet.cells.frames.length) return undefined;
    return cutFromSheet(sheet.jpeg, sheet.cells, { number, half: side === 'before' ? 'left' : 'right' });
  }

  /** A frame of the source. Throws SOURCE_NO_PICTURE if it cannot be decoded, or is not stored any more. */
  frame(jobId: string, frameIndex: number): Promise<Buffer> {
    return this.#decode(jobId, frameIndex, FRAME_WIDTH_MAX);
  }

  async #sheet(jobId: string): Promise<StoredSheet | undefined> {
    const { blobs } = this.#options;
    const name = contactSheetBlob(jobId);
    const stat = await blobs.stat('results', name);
    const kept = this.#sheets.get(jobId);
    this.#sheets.delete(jobId);
    if (stat === undefined) return undefined;
    const jpeg = kept?.etag === stat.etag ? kept.jpeg : await blobs.get('results', name);
    if (jpeg === undefined) return undefined;
    const sheet = { etag: stat.etag, jpeg, cells: sheetCellsFrom(stat.metadata) };
    this.#sheets.set(jobId, sheet);
    for (const oldest of [...this.#sheets.keys()].slice(0, -SHEETS_KEPT)) this.#sheets.delete(oldest);
    return sheet;
  }

  async #decode(jobId: string, frameIndex: number, widthMax: number): Promise<Buffer> {
    if (this.#decodes.pendingCount >= DECODES_WAITING_MAX)
      throw new TransientError('TOO_MANY_REQUESTS', 'Many frames are being decoded already.', {
        hint: 'Try again in a few seconds.',
      });
    return this.#decodes(async () => {
      const { blobs, signal } = this.#options;
      const split = { jobId, splitNumber: await splitInStorage(blobs, jobId) };
      const plan = await readSourcePlan(blobs, split);
      const [piece] = plan === undefined ? [] : piecesOf(plan, [frameIndex, frameIndex + 1]);
      if (plan === undefined || piece === undefined) throw notStored();
      const { pieceFormat: format } = plan;
      const [start] = piece;
      const name = pieceBlob(split, start, format);
      const stat = await blobs.stat('pieces', name);
      if (stat === undefined || stat.sizeBytes > PIECE_BYTES_MAX) throw notStored();
      const bytes = await blobs.get('pieces', name, { signal });
      if (bytes === undefined) throw notStored();
      if (format.container === 'image') {
        if (bytes.length > IMAGE_BYTES_MAX) throw notStored();
        return bytes;
      }
      return frameOfPiece({ piece: bytes, format, frame: frameIndex - start, widthMax, signal });
    });
  }
}

function notStored(): PermanentError {
  return new PermanentError('SOURCE_NO_PICTURE', 'There is no picture of this frame.', {
    hint: 'The source is not split yet, or its frames have been removed after the job ended.',
  });
}
