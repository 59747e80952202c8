import { describe, expect, test } from 'vitest';

import {
  type SourcePlan,
  decodeSourcePlan,
  encodeSourcePlan,
  piecesOf,
} from '../../../shared/contract/source-plan.ts';

const PLAN: SourcePlan = {
  version: 1,
  pieceFormat: {
    container: 'nut',
    codec: 'h264',
    width: 1280,
    height: 720,
    colour: { matrix: 'bt709', range: 'tv' },
  },
  picture: {
    framesPerSecond: 25,
    sampleAspectRatio: { numerator: 1, denominator: 1 },
    colour: { matrix: 'bt709', range: 'tv', primaries: 'bt709', transfer: 'bt709' },
  },
  batchFrames: 128,
  segmentFrames: 64,
  pieces: { kind: 'cut', starts: [0, 75, 150], frameCount: 200 },
};

test('a plan survives storage', () => {
  expect(decodeSourcePlan(encodeSourcePlan(PLAN))).toEqual(PLAN);
});

test.each([
  ['text', 'no plan'],
  ['another version', JSON.stringify({ ...PLAN, version: 2 })],
  ['a batch with more frames than a message may have', JSON.stringify({ ...PLAN, batchFrames: 513 })],
  ['a segment without frames', JSON.stringify({ ...PLAN, segmentFrames: 0 })],
  [
    'a codec that would be an option of ffmpeg',
    JSON.stringify({ ...PLAN, pieceFormat: { ...PLAN.pieceFormat, codec: 'h264 -i /etc/passwd' } }),
  ],
  [
    'a colour that would be a filter of ffmpeg',
    JSON.stringify({
      ...PLAN,
      pieceFormat: { ...PLAN.pieceFormat, colour: { matrix: 'bt709,movie=x', range: 'tv' } },
    }),
  ],
])('%s is not a plan', (_name, text) => {
  expect(decodeSourcePlan(text)).toBeUndefined();
});

describe('the pieces of a run of frames', () => {
  test.each([
    [[0, 10], [[0, 75]]],
    [
      [74, 76],
      [
        [0, 75],
        [75, 150],
      ],
    ],
    [[75, 150], [[75, 150]]],
    [
      [60, 200],
      [
        [0, 75],
        [75, 150],
        [150, 200],
      ],
    ],
  ] as const)('%s of a cut source are %s', (frames, expected) => {
    expect(piecesOf(PLAN, frames)).toEqual(expected);
  });

  test.each([
    [[0, 10], [[0, 64]]],
    [
      [60, 130],
      [
        [0, 64],
        [64, 128],
        [128, 192],
      ],
    ],
    [[64, 128], [[64, 128]]],
  ] as const)('%s of a decoded source are %s', (frames, expected) => {
    const decoded = { pieces: { kind: 'decoded', pieceFrames: 64, reason: 'it is interlaced' } } as const;
    expect(piecesOf(decoded, frames)).toEqual(expected);
  });
});
