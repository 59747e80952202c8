/**
 * Pieces: runs of the source's frames that can be decoded alone, `pieces/<jobId>/<split>/<first frame>.nut`, `.mkv` or `.image`. PURE.
 *
 * A piece is a copy of the source's packets from one key frame to the next cut. Where the source cannot be cut, it holds the decoded
 * frames as JPEGs. A still image is a piece of its own, in any format that the worker reads. The format is the same for all pieces of a job; a
 * worker decodes nothing that it does not name.
 */
import { z } from 'zod';

const word = z.string().regex(/^[a-z0-9_-]{1,32}$/);
/** Of a picture, in pixels. Limits on the area are lower. */
const side = z.int().min(1).max(65_535);

/** Where the samples of chroma are, if there are fewer of them than of luma. By ffmpeg's names. */
export const CHROMA_LOCATIONS = ['left', 'center', 'topleft', 'top', 'bottomleft', 'bottom'] as const;
export type ChromaLocation = (typeof CHROMA_LOCATIONS)[number];

export const pieceFormat = z.object({
  container: z.enum(['nut', 'matroska', 'image']),
  /** ffmpeg's name. */
  codec: word,
  width: side,
  height: side,
  /** Null for RGB. By ffmpeg's names. */
  colour: z
    .object({
      matrix: word,
      range: z.enum(['tv', 'full']),
      /** If it is not what the frames say. */
      chromaLocation: z.enum(CHROMA_LOCATIONS).optional(),
    })
    .nullable(),
});
export type PieceFormat = Readonly<z.infer<typeof pieceFormat>>;

/** Each image has a format and a size of its own. */
export const IMAGE_PIECES: PieceFormat = {
  container: 'image',
  codec: 'any',
  width: 1,
  height: 1,
  colour: null,
};
