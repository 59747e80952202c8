/**
 * PURE. Decides whether a source can be cut into pieces without decoding, and where.
 *
 * A piece can be decoded alone only if it starts with a key frame, no frame in it refers to one before it, and it shows nothing that
 * belongs before it. The index of packets proves that for closed groups of pictures. Where it does not, the source is decoded once.
 * The index may be wrong: a worker that does not find the planned frames in a piece says so, and the job is split again by decoding.
 */
import { isPiecePixelFormat } from '../../shared/media/colour.ts';
import type { VideoInfo } from '../../shared/media/video-info.ts';
import type { PacketIndex } from './packet-index.ts';
import { type Timeline, secondsPerTick } from './timeline.ts';

/** Codecs whose packets are frames, in containers that say which packets are key frames. Tests cover each. */
const CODECS = new Set(['h264', 'hevc', 'vp9', 'av1', 'prores', 'mjpeg', 'mpeg4']);
const FORMATS = /\b(?:mov|mp4|matroska|webm)\b/;
/** A worker decodes from the key frame before its first frame. */
const KEY_FRAME_SECONDS_MAX = 10;
/** A piece costs two storage operations and the start of a decoder; a long one is decoded from its start by every batch that needs a part. */
const PIECE_FRAMES_MIN = 128;
/** A worker holds two pieces in memory, and frames of some codecs have megabytes. */
const PIECE_MEGAPIXELS_MIN = 128;
/** The command line lists the pieces. */
const PIECES_MAX = 8_192;

export interface Cuts {
  readonly kind: 'cut';
  readonly timeline: Timeline;
  /** The first frame of each piece, ascending from 0. */
  readonly pieceStarts: readonly number[];
}

export type CutPlan = Cuts | { readonly kind: 'decode'; readonly reason: string };

type CutVideo = Pick<
  VideoInfo,
  'codec' | 'formatName' | 'height' | 'interlaced' | 'pixelFormat' | 'rotationDegrees' | 'timeBase' | 'width'
>;

export function planCuts(video: CutVideo, { pts, keyFrames, notShown }: PacketIndex): CutPlan {
  const { codec, formatName, interlaced, pixelFormat, rotationDegrees, timeBase } = video;
  if (!CODECS.has(codec)) return decode(`its codec is ${codec}`);
  if (!FORMATS.test(formatName)) return decode(`its container is ${formatName}`);
  if (!isPiecePixelFormat(pixelFormat)) return decode(`its pixel format is ${pixelFormat}`);
  if (interlaced) return decode('it is interlaced');
  if (rotationDegrees !== 0) return decode('it is rotated');
  if (notShown > 0) return decode('it has packets that are not shown');
  if (pts.length === 0) return decode('it has no packets');
  if (pts.some((ticks) => !Number.isSafeInteger(ticks))) return decode('a frame has no timestamp');
  if (keyFrames[0] !== 0) return decode('it does not start with a key frame');
  const shown = Float64Array.from(pts).sort();
  if (shown.some((ticks, index) => index > 0 && ticks === shown[index - 1]))
    return decode('two frames have the same timestamp');

  for (const [number, key] of keyFrames.entries()) {
    const end = keyFrames[number + 1] ?? pts.length;
    const keyTicks = pts[key] ?? 0;
    // If all groups are closed, the n-th key frame in decoding order is also shown at that place.
    if (shown[key] !== keyTicks || pts.subarray(key, end).some((ticks) => ticks < keyTicks))
      return decode('a frame is decoded after a key frame and shown before it');
    const lastTicks = shown[end - 1] ?? keyTicks;
    if ((lastTicks - keyTicks) * secondsPerTick({ timeBase }) > KEY_FRAME_SECONDS_MAX)
      return decode(`key frames are more than ${KEY_FRAME_SECONDS_MAX} s apart`);
  }
  return {
    kind: 'cut',
    timeline: { timeBase, pts: shown },
    pieceStarts: startsOfPieces(video, keyFrames, pts.length),
  };
}

/** As many groups of pictures in a piece as it takes for a useful length. */
function startsOfPieces(
  { width, height }: CutVideo,
  keyFrames: readonly number[],
  frameCount: number,
): number[] {
  const useful = Math.min(PIECE_FRAMES_MIN, Math.ceil((PIECE_MEGAPIXELS_MIN * 1e6) / (width * height)));
  const framesMin = Math.max(useful, Math.ceil(frameCount / PIECES_MAX));
  const starts: number[] = [];
  for (const key of keyFrames) if (key - (starts.at(-1) ?? -framesMin) >= framesMin) starts.push(key);
  return starts;
}

function decode(reason: string): CutPlan {
  return { kind: 'decode', reason };
}
