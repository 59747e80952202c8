/**
 * How a source was taken apart: `pieces/<jobId>/<split>/plan.json`. PURE.
 *
 * Written before the first batch is sent, and the same for every run of the split. The timestamps of the frames are in `timeline.json`
 * beside it, which a source that is decoded has only at the end.
 */
import { z } from 'zod';

import { pictureFormat } from './encoding.ts';
import { BATCH_FRAMES_MAX, ERROR_TEXT_CHARACTERS_MAX, FRAMES_MAX } from './limits.ts';
import { contextFrames, firstIssue } from './messages.ts';
import { parseJson } from './parse-json.ts';
import { pieceFormat } from './piece.ts';
import type { FrameRange } from './ranges.ts';

const frameCount = z.int().min(1).max(FRAMES_MAX);

const sourcePlan = z.object({
  version: z.literal(1),
  pieceFormat,
  picture: pictureFormat,
  /** A multiple of `segmentFrames`, so that segments are the same whatever the batches. */
  batchFrames: z.int().min(1).max(BATCH_FRAMES_MAX),
  segmentFrames: z.int().min(1).max(BATCH_FRAMES_MAX),
  /** Set if the model has a state: how many frames before a batch it sees first. */
  contextFrames: contextFrames.optional(),
  pieces: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('cut'),
      /** The first frame of each piece, ascending from 0. */
      starts: z.array(z.int().min(0).max(FRAMES_MAX)).min(1).readonly(),
      frameCount,
    }),
    z.object({
      kind: z.literal('decoded'),
      /** Of each piece; the last one may have fewer. */
      pieceFrames: frameCount,
      /** Why the source was not cut. */
      reason: z.string().max(ERROR_TEXT_CHARACTERS_MAX),
    }),
    /** Still images: a piece for each. */
    z.object({ kind: z.literal('images'), frameCount }),
  ]),
});
export type SourcePlan = Readonly<z.infer<typeof sourcePlan>>;

/** Throws RangeError if no reader would accept the plan. */
export function encodeSourcePlan(plan: SourcePlan): string {
  const parsed = sourcePlan.safeParse(plan);
  if (!parsed.success) throw new RangeError(firstIssue(parsed.error));
  return JSON.stringify(plan);
}

/** Undefined if the text is not a plan. */
export function decodeSourcePlan(text: string): SourcePlan | undefined {
  return sourcePlan.safeParse(parseJson(text)).data;
}

/** The pieces that hold these frames, in order. The end of the last piece of a decoded source is not known: it may be beyond the frames. */
export function piecesOf(
  { pieces }: Pick<SourcePlan, 'pieces'>,
  [frameStart, frameEnd]: FrameRange,
): FrameRange[] {
  // One range for all of them keeps the message short.
  if (pieces.kind === 'images') return [[frameStart, frameEnd]];
  if (pieces.kind === 'decoded') {
    const { pieceFrames } = pieces;
    const found: FrameRange[] = [];
    for (let start = frameStart - (frameStart % pieceFrames); start < frameEnd; start += pieceFrames)
      found.push([start, start + pieceFrames]);
    return found;
  }
  return pieces.starts
    .map((start, index): FrameRange => [start, pieces.starts[index + 1] ?? pieces.frameCount])
    .filter(([start, end]) => start < frameEnd && end > frameStart);
}
