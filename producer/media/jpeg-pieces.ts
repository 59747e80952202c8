/**
 * Packs decoded frames into pieces: the way that is always right, for a source that cannot be cut. A piece is a Matroska file of JPEGs,
 * every one of them a key frame.
 */
import type { PieceFormat } from '../../shared/contract/piece.ts';
import { matroskaFrame, matroskaHeader } from './matroska.ts';
import type { Timeline } from './timeline.ts';

/** As many as a segment usually has: a worker reads few frames that it does not need. */
export const JPEG_PIECE_FRAMES = 64;
/** The frames of a piece have nominal timestamps: only their order counts. */
const FRAME_NANOSECONDS = 40_000_000;

/** JPEGs are BT.601, full range. */
export function jpegPieceFormat(size: Pick<PieceFormat, 'width' | 'height'>): PieceFormat {
  const { width, height } = size;
  return {
    container: 'matroska',
    codec: 'mjpeg',
    width,
    height,
    colour: { matrix: 'smpte170m', range: 'full' },
  };
}

/** Yields pieces of JPEG_PIECE_FRAMES frames, the last one shorter, and returns what `frames` returns. Holds one piece in memory. */
export async function* packJpegs(
  frames: AsyncGenerator<Buffer, Timeline>,
  size: Pick<PieceFormat, 'width' | 'height'>,
): AsyncGenerator<Buffer, Timeline> {
  await using source = frames;
  let piece: Buffer[] = [];
  for (;;) {
    const { done, value } = await source.next();
    if (done !== true) piece.push(value);
    if (piece.length === JPEG_PIECE_FRAMES || (done === true && piece.length > 0)) {
      yield packed(piece, size);
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
