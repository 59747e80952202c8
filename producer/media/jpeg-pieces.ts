/**
 * Packs decoded frames into pieces: the way that is always right, for a source that cannot be cut. A piece is a Matroska file of JPEGs,
 * every one of them a key frame.
 */
import type { ChromaLocation, PieceFormat } from '../../shared/contract/piece.ts';
import { matroskaFrame, matroskaHeader } from './matroska.ts';

/** The frames of a piece have nominal timestamps: only their order counts. */
const FRAME_NANOSECONDS = 40_000_000;

/** JPEGs are BT.601, full range. */
export function jpegPieceFormat(
  size: Pick<PieceFormat, 'width' | 'height'>,
  chromaLocation?: ChromaLocation,
): PieceFormat {
  const { width, height } = size;
  return {
    container: 'matroska',
    codec: 'mjpeg',
    width,
    height,
    colour: {
      matrix: 'smpte170m',
      range: 'full',
      ...(chromaLocation === undefined ? {} : { chromaLocation }),
    },
  };
}

export interface JpegPiece {
  readonly bytes: Buffer;
  readonly frames: number;
}

interface JpegPieces extends Pick<PieceFormat, 'width' | 'height'> {
  readonly pieceFrames: number;
}

/** Yields pieces of `pieceFrames` frames, the last one shorter, and returns what `frames` returns. Holds one piece in memory. */
export async function* packJpegs<R>(
  frames: AsyncGenerator<Buffer, R>,
  { pieceFrames, ...size }: JpegPieces,
): AsyncGenerator<JpegPiece, R> {
  await using source = frames;
  let piece: Buffer[] = [];
  for (;;) {
    const { done, value } = await source.next();
    if (done !== true) piece.push(value);
    if (piece.length === pieceFrames || (done === true && piece.length > 0)) {
      yield { bytes: packed(piece, size), frames: piece.length };
      piece = [];
    }
    if (done === true) return value;
  }
}

function packed(jpegs: readonly Buffer[], size: Pick<PieceFormat, 'width' | 'height'>): Buffer {
  return Buffer.concat([
    matroskaHeader({ ...size, frameNanoseconds: FRAME_NANOSECONDS }),
    ...jpegs.flatMap((jpeg, index) => matroskaFrame(BigInt(index) * BigInt(FRAME_NANOSECONDS), jpeg)),
  ]);
}
