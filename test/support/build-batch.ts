/** Builds a valid batch message. A test sets only what it is about. */
import { jpegPieceFormat } from '../../producer/media/jpeg-pieces.ts';
import { DEFAULT_ENCODING, type PictureFormat } from '../../shared/contract/encoding.ts';
import { type BatchMessage, MESSAGE_VERSION, NEW_BATCH_HISTORY } from '../../shared/contract/messages.ts';

export const BUILT_PICTURE: PictureFormat = {
  framesPerSecond: 25,
  sampleAspectRatio: { numerator: 1, denominator: 1 },
  colour: { matrix: 'bt709', range: 'tv', primaries: 'unknown', transfer: 'unknown' },
};

type History = BatchMessage['history'];

export function buildBatch({
  history = {},
  ...fields
}: Partial<Omit<BatchMessage, 'history'>> & { readonly history?: Partial<History> } = {}): BatchMessage {
  return {
    version: MESSAGE_VERSION,
    jobId: '20261123-061502-harbour-9f3a1c',
    batchIndex: 3,
    frameStart: 30,
    frameEnd: 40,
    epoch: 1_795_000_000_000,
    model: { name: 'painter', version: '1', sha256: 'a'.repeat(64) },
    parameters: { style: 'starry-night' },
    splitNumber: 1,
    pieces: [[0, 64]],
    pieceFormat: jpegPieceFormat({ width: 64, height: 48 }),
    segmentFrames: 4,
    picture: BUILT_PICTURE,
    encoding: DEFAULT_ENCODING,
    onFailedFrame: 'keep-original',
    frameImages: null,
    history: { ...NEW_BATCH_HISTORY, ...history },
    ...fields,
  };
}
