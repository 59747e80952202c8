/**
 * Segments: runs of consecutive frames that a worker scores, encodes and stores as one blob, `scored/<jobId>/<split>/<first>-<last>.mp4`.
 * PURE.
 *
 * A segment is stored once. Its metadata says which of its frames failed and show a replacement, and the size of the scored frames, which
 * the encoder makes even.
 */
import { z } from 'zod';

import { BATCH_FRAMES_MAX } from './limits.ts';
import { parseJson } from './parse-json.ts';
import { type FrameRange, indicesOf, toRanges } from './ranges.ts';

/** Split frames into segments of this many frames; the last one may have fewer. */
export function segmentsOf([frameStart, frameEnd]: FrameRange, segmentFrames: number): FrameRange[] {
  const segments: FrameRange[] = [];
  for (let start = frameStart; start < frameEnd; start += segmentFrames)
    segments.push([start, Math.min(start + segmentFrames, frameEnd)]);
  return segments;
}

const ranges = z.array(z.tuple([z.int().min(0), z.int().min(0)])).max(BATCH_FRAMES_MAX);

export interface FrameSize {
  readonly width: number;
  readonly height: number;
}

/** How much still pixels changed from frame to frame: the sum of the changes, in grey levels, over so many points of frames. */
export interface FlickerSum {
  readonly sum: number;
  readonly points: number;
}

/** The blob metadata of a segment in which these frames show a replacement. */
export function segmentMetadata(
  failed: Iterable<number>,
  size: FrameSize,
  flicker?: FlickerSum,
): Record<string, string> {
  return {
    failed: JSON.stringify(toRanges(failed)),
    size: `${size.width}x${size.height}`,
    ...(flicker && { flicker: `${flicker.sum}/${flicker.points}` }),
  };
}

/** Zero if the metadata does not say. */
export function flickerInSegment(metadata: Readonly<Record<string, string>>): FlickerSum {
  const [, sum = 0, points = 0] = /^(\d{1,15})\/(\d{1,15})$/.exec(metadata['flicker'] ?? '') ?? [];
  return { sum: Number(sum), points: Number(points) };
}

/** What the metadata of a stored image says of it. */
export interface StoredImage {
  /** sharp's name; undefined if the image could not be read. */
  readonly format: string | undefined;
  readonly sha256: string;
  /** Of the source: pages of a document, or pictures of an animation. Only the first is used. */
  readonly pages: number;
}

export function imageMetadata({ format, sha256, pages }: StoredImage): Record<string, string> {
  return { sha256, ...(format !== undefined && { format }), ...(pages > 1 && { pages: String(pages) }) };
}

export function storedImageOf(metadata: Readonly<Record<string, string>>): StoredImage {
  return {
    format: metadata['format'],
    sha256: metadata['sha256'] ?? '',
    pages: Number(metadata['pages'] ?? 1),
  };
}

/** The size of the scored frames; undefined if the metadata does not say. */
export function sizeInSegment(metadata: Readonly<Record<string, string>>): FrameSize | undefined {
  const [, width, height] = /^(\d{1,6})x(\d{1,6})$/.exec(metadata['size'] ?? '') ?? [];
  return width === undefined ? undefined : { width: Number(width), height: Number(height) };
}

/** The frames of a segment that show a replacement. Unreadable metadata counts as none: the frames are there. */
export function failedInSegment(
  [frameStart, frameEnd]: FrameRange,
  metadata: Readonly<Record<string, string>>,
): number[] {
  const failed = ranges.safeParse(parseJson(metadata['failed'] ?? '[]')).data ?? [];
  const inside = failed.map(([start, end]): FrameRange => [
    Math.max(start, frameStart),
    Math.min(end, frameEnd),
  ]);
  return [...indicesOf(inside)];
}
