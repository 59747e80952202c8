/**
 * The frames of segments from the pieces that hold them, in order.
 *
 * While one piece is decoded, the next one is fetched and its decoder started, so the model does not wait at the border of two pieces. A
 * worker may need only a part of a piece: frames before that part are decoded and dropped.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { reachStorage } from '../../shared/azure/storage-errors.ts';
import { type SplitOfJob, pieceBlob } from '../../shared/contract/blob-names.ts';
import type { PieceFormat } from '../../shared/contract/piece.ts';
import type { FrameRange } from '../../shared/contract/ranges.ts';
import type { FittedSize } from './fit.ts';
import type { FrameBuffer, FramePool } from './frame-pool.ts';
import { PieceDecoder, PieceMismatchError } from './piece-decoder.ts';

export interface PieceSourceOptions {
  readonly blobs: BlobStore;
  readonly split: SplitOfJob;
  readonly format: PieceFormat;
  /** Of the frames to yield; that of the pieces by default. */
  readonly size?: FittedSize;
  /** In order. Together they hold all frames. */
  readonly pieces: readonly FrameRange[];
  /** A decoder that yields no frame for this long is at fault. */
  readonly stalledMs: number;
  readonly signal: AbortSignal;
  /** Called with the seconds that a fetch took. */
  readonly onFetched: (seconds: number) => void;
}

/** A run of frames in one piece. */
interface Part {
  readonly piece: FrameRange;
  readonly frames: FrameRange;
}

/** Yields buffers of the pool, which the caller gives back. Throws PieceMismatchError, STORAGE_UNAVAILABLE, or the signal's reason. */
export async function* framesFromPieces(
  options: PieceSourceOptions,
  segments: readonly FrameRange[],
  pool: FramePool,
): AsyncGenerator<FrameBuffer, void> {
  const parts = partsOf(segments, options.pieces);
  let next = parts[0] && open(options, parts[0], pool);
  try {
    for (const [number] of parts.entries()) {
      const opening = next;
      const following = parts[number + 1];
      await using decoder = await opening;
      next = following && open(options, following, pool);
      if (decoder !== undefined) yield* decoder.frames();
    }
  } finally {
    const unused = await next?.catch(() => undefined);
    await unused?.[Symbol.asyncDispose]();
  }
}

function open(options: PieceSourceOptions, part: Part, pool: FramePool): Promise<PieceDecoder> {
  const opening = openDecoder(options, part, pool);
  opening.catch(() => undefined); // Awaited when the part is due.
  return opening;
}

async function openDecoder(
  { blobs, split, format, size, stalledMs, signal, onFetched }: PieceSourceOptions,
  { piece, frames }: Part,
  pool: FramePool,
): Promise<PieceDecoder> {
  const name = pieceBlob(split, piece[0], format);
  const startedAt = performance.now();
  const bytes = await reachStorage('the pieces container', () => blobs.get('pieces', name, { signal }));
  onFetched((performance.now() - startedAt) / 1000);
  if (bytes === undefined) throw new PieceMismatchError(`the piece ${name} is not in storage`);
  const isToEnd = frames[1] === piece[1];
  const [skip, count] = [frames[0] - piece[0], frames[1] - frames[0]];
  return PieceDecoder.start(
    { name, bytes, format, ...(size && { size }), skip, count, isToEnd, stalledMs, signal },
    pool,
  );
}

/** Consecutive segments of one piece are one part. */
function partsOf(segments: readonly FrameRange[], pieces: readonly FrameRange[]): Part[] {
  const runs: [number, number][] = [];
  for (const [start, end] of segments) {
    const last = runs.at(-1);
    if (last?.[1] === start) last[1] = end;
    else runs.push([start, end]);
  }
  return runs.flatMap(([start, end]) =>
    pieces
      .filter((piece) => piece[0] < end && piece[1] > start)
      .map((piece) => ({ piece, frames: [Math.max(start, piece[0]), Math.min(end, piece[1])] as const })),
  );
}
