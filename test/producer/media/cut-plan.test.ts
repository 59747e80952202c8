import { describe, expect, test } from 'vitest';

import { planCuts } from '../../../producer/media/cut-plan.ts';
import type { PacketIndex } from '../../../producer/media/packet-index.ts';
import { videoInfo } from '../../support/video-info.ts';

const VIDEO = videoInfo({
  codec: 'h264',
  formatName: 'mov,mp4,m4a,3gp,3g2,mj2',
  timeBase: { numerator: 1, denominator: 25 },
});
const GROUP = 25;

/** Frames at 25 frames/s with a key frame each second; each group is decoded in the order I P B B B P …. */
function indexOf(frameCount: number, changes: Partial<PacketIndex> = {}): PacketIndex {
  const order = Array.from({ length: frameCount }, (_, index) => {
    const within = index % GROUP;
    const isReordered = within >= 1 && within <= 3 && index - within + 3 < frameCount;
    return isReordered ? index + (within === 1 ? 2 : -1) : index;
  });
  return {
    pts: Float64Array.from(order),
    keyFrames: [...order.keys()].filter((index) => index % GROUP === 0),
    notShown: 0,
    ...changes,
  };
}

function withTicks(frameCount: number, ticks: Readonly<Record<number, number>>): PacketIndex {
  const { pts, ...rest } = indexOf(frameCount);
  const changed = Float64Array.from(pts);
  for (const [index, value] of Object.entries(ticks)) changed[Number(index)] = value;
  return { pts: changed, ...rest };
}

test('a source is cut at key frames, into pieces of at least 128 frames', () => {
  const plan = planCuts(VIDEO, indexOf(300));
  expect(plan).toMatchObject({ kind: 'cut', pieceStarts: [0, 150] });
  expect(plan.kind === 'cut' && [...plan.timeline.pts]).toEqual([...Array.from({ length: 300 }).keys()]);
});

test('the pieces of large frames are shorter', () => {
  const large = { ...VIDEO, width: 7680, height: 4320 };
  expect(planCuts(large, indexOf(100))).toMatchObject({ kind: 'cut', pieceStarts: [0, 25, 50, 75] });
});

test('a source of one frame is one piece', () => {
  expect(planCuts(VIDEO, indexOf(1))).toMatchObject({ kind: 'cut', pieceStarts: [0] });
});

test('a source of many hours has no more pieces than a command line can list', () => {
  const frameCount = 2_000_000;
  const everyFrame = {
    pts: Float64Array.from({ length: frameCount }, (_, index) => index),
    keyFrames: [...Array.from({ length: frameCount }).keys()],
    notShown: 0,
  };
  const plan = planCuts(VIDEO, everyFrame);
  expect(plan.kind === 'cut' && plan.pieceStarts.length).toBeLessThanOrEqual(8_192);
});

describe('a source is decoded if', () => {
  test.each([
    ['a packet is not shown', VIDEO, indexOf(100, { notShown: 1 }), /not shown/],
    ['a frame has no timestamp', VIDEO, withTicks(100, { 40: Number.NaN }), /no timestamp/],
    ['two frames have the same timestamp', VIDEO, withTicks(100, { 40: 41 }), /same timestamp/],
    ['it does not start with a key frame', VIDEO, indexOf(100, { keyFrames: [] }), /start with a key/],
    [
      'a frame of a group is shown after the next key frame',
      VIDEO,
      withTicks(100, { 24: 25, 25: 24 }),
      /shown before/,
    ],
    ['key frames are far apart', VIDEO, indexOf(300, { keyFrames: [0] }), /10 s apart/],
    ['it is rotated', { ...VIDEO, rotationDegrees: 90 }, indexOf(100), /rotated/],
    ['it is interlaced', { ...VIDEO, interlaced: true }, indexOf(100), /interlaced/],
    ['it has no packets', VIDEO, indexOf(0), /no packets/],
  ] as const)('%s', (_name, video, index, reason) => {
    expect(planCuts(video, index)).toEqual({
      kind: 'decode',
      reason: expect.stringMatching(reason) as string,
    });
  });
});
