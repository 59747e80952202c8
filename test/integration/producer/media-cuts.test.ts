/** A source that is cut into pieces gives the same frames at the same times as a source that is decoded as a whole. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import { describe, expect, test } from 'vitest';

import { cutPieces } from '../../../producer/media/cut-pieces.ts';
import { type CutPlan, planCuts } from '../../../producer/media/cut-plan.ts';
import { type JpegPiece, jpegPieceFormat, packJpegs } from '../../../producer/media/jpeg-pieces.ts';
import { readPacketIndex } from '../../../producer/media/packet-index.ts';
import type { Timeline } from '../../../producer/media/timeline.ts';
import type { PieceFormat } from '../../../shared/contract/piece.ts';
import { probeVideo } from '../../../shared/media/probe.ts';
import { FramePool } from '../../../worker/engine/frame-pool.ts';
import { PieceDecoder } from '../../../worker/engine/piece-decoder.ts';
import { decodeJpeg } from '../../support/decode-jpeg.ts';
import { picture } from '../../support/media-clips.ts';
import { each, pieceFormatOf, useMediaFolder } from '../../support/media-round-trip.ts';

const { clip, decode } = useMediaFolder();
const SECONDS = 8;
const source = picture({ seconds: SECONDS });
const closed = ['-g', '25', '-pix_fmt', 'yuv420p'];
const uneven = ['-vf', 'setpts=PTS+(floor(N/7)*0.05+0.012*random(1))/TB', '-fps_mode', 'vfr'];

async function planOf(path: string): Promise<CutPlan> {
  const video = await probeVideo(path);
  return planCuts(video, await readPacketIndex(path, video, 100_000));
}

/** The frames of a piece, which must hold this many. */
async function framesOf(bytes: Uint8Array, format: PieceFormat, count: number): Promise<Buffer[]> {
  const pool = new FramePool({ buffers: 2, bytesPerBuffer: format.width * format.height * 3 });
  const { signal } = new AbortController();
  const whole = { skip: 0, count, isToEnd: true, stalledMs: 300_000 };
  await using decoder = await PieceDecoder.start({ name: 'a piece', bytes, format, ...whole, signal }, pool);
  const frames: Buffer[] = [];
  for await (const frame of decoder.frames()) {
    frames.push(Buffer.from(frame));
    pool.giveBack(frame);
  }
  return frames;
}

async function hashesOf(bytes: Uint8Array, format: PieceFormat, count: number): Promise<string[]> {
  const frames = await framesOf(bytes, format, count);
  return frames.map((frame) => createHash('md5').update(frame).digest('hex'));
}

/** The hash of each frame, decoded piece by piece. */
async function hashesOfPieces(
  path: string,
  pieceStarts: readonly number[],
  frameCount: number,
): Promise<string[]> {
  const [video, format] = [await probeVideo(path), await pieceFormatOf(path)];
  const hashes: string[] = [];
  const request = { sourcePath: path, video, pieceStarts, folder: `${path}-pieces`, cpuSecondsMax: 60 };
  let number = 0;
  for await (const piece of cutPieces(request)) {
    const count = (pieceStarts[number + 1] ?? frameCount) - (pieceStarts[number] ?? 0);
    hashes.push(...(await hashesOf(await readFile(piece), format, count)));
    number += 1;
  }
  return hashes;
}

/** The hash of each frame, decoded as a whole. */
async function hashesOfWhole(path: string, frameCount: number): Promise<string[]> {
  const whole = await clip('whole.nut', ['-i', path, '-map', '0:v:0', '-c', 'copy']);
  return hashesOf(await readFile(whole), await pieceFormatOf(path), frameCount);
}

describe('a source with closed groups of pictures is cut', () => {
  test.for([
    ['H.264 with B-frames', 'a.mp4', ['-c:v', 'libx264', '-bf', '2', ...closed]],
    [
      'H.264 with a variable rate and B-frames',
      'b.mp4',
      [...uneven, '-c:v', 'libx264', '-bf', '2', ...closed],
    ],
    ['H.264 in Matroska', 'c.mkv', ['-c:v', 'libx264', ...closed]],
    [
      'H.264 with a negative first timestamp',
      'd.mp4',
      ['-c:v', 'libx264', '-bf', '2', ...closed, '-movflags', 'negative_cts_offsets'],
    ],
    [
      'HEVC',
      'e.mp4',
      ['-c:v', 'libx265', '-x265-params', 'open-gop=0:keyint=25:log-level=error', '-pix_fmt', 'yuv420p'],
    ],
    ['VP9', 'f.webm', ['-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8', ...closed]],
    ['AV1', 'r.mp4', ['-c:v', 'libaom-av1', '-cpu-used', '8', ...closed]],
    ['ProRes with 10 bits', 'g.mov', ['-c:v', 'prores_ks']],
    ['MJPEG', 'h.mkv', ['-c:v', 'mjpeg', '-q:v', '3', '-pix_fmt', 'yuvj422p']],
    ['MPEG-4', 'i.mp4', ['-c:v', 'mpeg4', '-g', '25']],
    [
      'H.264 with one key frame in all',
      'j.mp4',
      ['-c:v', 'libx264', '-g', '1000', '-keyint_min', '1000', '-sc_threshold', '0', '-pix_fmt', 'yuv420p'],
    ],
  ] as const)('%s', async ([, name, args]) => {
    const path = await clip(name, [...source, ...args]);
    const plan = await planOf(path);
    if (plan.kind !== 'cut') throw new Error(`expected cuts: ${plan.reason}`);
    const { timeline } = await decode(path);
    expect(plan.timeline.timeBase).toEqual(timeline.timeBase);
    expect([...plan.timeline.pts]).toEqual([...timeline.pts]);
    const found = await hashesOfPieces(path, plan.pieceStarts, timeline.pts.length);
    expect(found).toEqual(await hashesOfWhole(path, timeline.pts.length));
  });
});

test('the index of a source with more frames than allowed is refused', async () => {
  const path = await clip('s.mp4', [...picture({ seconds: 0.4 }), '-c:v', 'libx264', ...closed]);
  const video = await probeVideo(path);
  expect((await readPacketIndex(path, video, 10)).pts).toHaveLength(10);
  await expect(readPacketIndex(path, video, 9)).rejects.toMatchObject({ code: 'SOURCE_TOO_LARGE' });
});

describe('a source whose index does not prove that it can be cut is decoded', () => {
  test.for([
    [
      'open groups of pictures',
      'k.mp4',
      ['-c:v', 'libx265', '-x265-params', 'keyint=25:bframes=3:log-level=error', '-pix_fmt', 'yuv420p'],
      /shown before/,
    ],
    [
      'interlaced fields',
      'l.mp4',
      ['-c:v', 'libx264', '-flags', '+ilme+ildct', '-top', '1', ...closed],
      /interlaced/,
    ],
    ['a container without exact timestamps', 'm.avi', ['-c:v', 'mpeg4'], /container is avi/],
    [
      'a pixel format that is not planar YUV',
      'q.mov',
      ['-c:v', 'prores_ks', '-profile:v', '4', '-pix_fmt', 'yuva444p10le'],
      /pixel format is yuva/,
    ],
    ['another codec', 'n.mkv', ['-c:v', 'ffv1'], /codec is ffv1/],
  ] as const)('%s', async ([, name, args, reason]) => {
    const plan = await planOf(await clip(name, [...source, ...args]));
    expect(plan).toEqual({ kind: 'decode', reason: expect.stringMatching(reason) as string });
  });
});

describe('a source that is decoded into pieces', () => {
  test.for([
    [
      'with open groups of pictures',
      'o.mp4',
      ['-c:v', 'libx265', '-x265-params', 'keyint=25:bframes=3:log-level=error', '-pix_fmt', 'yuv420p'],
    ],
    ['in RGB', 'p.mkv', ['-c:v', 'ffv1', '-pix_fmt', 'gbrp']],
  ] as const)('%s has each of its frames once, close to the original', async ([, name, args]) => {
    const path = await clip(name, [...source, ...args]);
    const video = await probeVideo(path);
    const { frames, timeline } = await decode(path);
    const pieces: JpegPiece[] = [];
    const { width, height } = video;
    const packing = packJpegs(replay(frames, timeline), { width, height, pieceFrames: 64 });
    let packed = await packing.next();
    for (; packed.done !== true; packed = await packing.next()) pieces.push(packed.value);
    expect(packed.value).toBe(timeline);
    expect(pieces.map((piece) => piece.frames)).toEqual([64, 64, 64, 8]);
    const decoded: Buffer[] = [];
    for (const piece of pieces)
      decoded.push(...(await framesOf(piece.bytes, jpegPieceFormat(video), piece.frames)));
    expect(decoded).toHaveLength(frames.length);
    for (const [index, frame] of frames.entries()) {
      const { pixels } = await decodeJpeg(frame);
      // Two decoders of the same JPEG: they differ in rounding, and in how they enlarge chroma.
      expect(meanDifference(decoded[index] ?? Buffer.alloc(0), pixels)).toBeLessThan(3);
    }
  });
});

async function* replay(frames: readonly Buffer[], timeline: Timeline): AsyncGenerator<Buffer, Timeline> {
  yield* each(frames);
  return timeline;
}

function meanDifference(a: Uint8Array, b: Uint8Array): number {
  return a.reduce((sum, value, index) => sum + Math.abs(value - (b[index] ?? 0)), 0) / a.length;
}
