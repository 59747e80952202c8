/** A plan of a source that was decoded into pieces of 64 frames. */
import { jpegPieceFormat } from '../../producer/media/jpeg-pieces.ts';
import type { SourcePlan } from '../../shared/contract/source-plan.ts';
import { BUILT_PICTURE } from './build-batch.ts';

export const BUILT_PLAN: SourcePlan = {
  version: 1,
  pieceFormat: jpegPieceFormat({ width: 64, height: 48 }),
  picture: BUILT_PICTURE,
  batchFrames: 64,
  segmentFrames: 64,
  pieces: { kind: 'decoded', pieceFrames: 64, reason: 'a test' },
};
