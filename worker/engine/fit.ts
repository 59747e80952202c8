/**
 * How frames get the size that a model takes, and its pictures theirs. ffmpeg scales: the decoder to the model's size, the encoder back.
 * PURE.
 */
import type { ModelManifest } from '../../shared/contract/model-manifest.ts';
import type { FrameSize } from '../../shared/contract/segment.ts';

const LARGE_PIXELS = 16e6;

/** A part of a picture, in pixels. */
interface Rectangle extends FrameSize {
  readonly x: number;
  readonly y: number;
}

/** A picture in memory, and which part of it shows the frame. */
export interface FittedSize extends FrameSize {
  /** The whole picture, unless it has bars. */
  readonly shown: Rectangle;
}

export interface Fit {
  /** What the model takes. */
  readonly input: FittedSize;
  /** What it returns. */
  readonly output: FittedSize;
  /** Of the result. */
  readonly result: FrameSize;
}

export function fitOf(manifest: Pick<ModelManifest, 'input' | 'output'>, frame: FrameSize): Fit {
  const { input } = manifest;
  const scale = 'scale' in manifest.output ? manifest.output.scale : 1;
  const taken = inputSizeOf(input, frame);
  const shown = input.fit === 'letterbox' ? letterbox(frame, taken) : wholePicture(taken).shown;
  const returned = scaled(taken, scale);
  const shownAfter = partOf(returned, {
    x: Math.round(shown.x * scale),
    y: Math.round(shown.y * scale),
    ...scaled(shown, scale),
  });
  return {
    input: { ...taken, shown },
    output: { ...returned, shown: shownAfter },
    result: scaled(frame, scale),
  };
}

/** A picture that shows nothing but the frame. */
export function wholePicture(frame: FrameSize): FittedSize {
  const { width, height } = frame;
  return { width, height, shown: { x: 0, y: 0, width, height } };
}

export function isSameSize(one: FrameSize, other: FrameSize): boolean {
  return one.width === other.width && one.height === other.height;
}

/** Each thread of a decoder or encoder holds several frames. One of 8K UHD takes 50 MB, so such frames get one thread. */
export function isLargeFrame({ width, height }: FrameSize): boolean {
  return width * height > LARGE_PIXELS;
}

function inputSizeOf({ size, pixelsMax, tile }: ModelManifest['input'], frame: FrameSize): FrameSize {
  if (typeof size === 'object' && 'width' in size) {
    const isTiled = tile !== undefined && frame.width >= size.width && frame.height >= size.height;
    return isTiled ? sizeOf(frame) : size;
  }
  const { width, height } = within(pixelsMax, frame);
  if (size === 'any') return { width, height };
  const multiple = (pixels: number): number => Math.ceil(pixels / size.multipleOf) * size.multipleOf;
  return { width: multiple(width), height: multiple(height) };
}

/** The frame's shape with so many pixels at most. */
function within(pixelsMax: number | undefined, { width, height }: FrameSize): FrameSize {
  const scale = Math.min(1, Math.sqrt((pixelsMax ?? Infinity) / (width * height)));
  return { width: Math.max(1, Math.floor(width * scale)), height: Math.max(1, Math.floor(height * scale)) };
}

/** The largest rectangle of the frame's shape, in the middle. */
function letterbox(frame: FrameSize, into: FrameSize): Rectangle {
  const scale = Math.min(into.width / frame.width, into.height / frame.height);
  const width = Math.min(into.width, Math.max(1, Math.round(frame.width * scale)));
  const height = Math.min(into.height, Math.max(1, Math.round(frame.height * scale)));
  return { x: (into.width - width) >> 1, y: (into.height - height) >> 1, width, height };
}

function scaled({ width, height }: FrameSize, scale: number): FrameSize {
  return { width: Math.round(width * scale), height: Math.round(height * scale) };
}

function partOf({ width, height }: FrameSize, part: Rectangle): Rectangle {
  const [x, y] = [Math.min(part.x, width - 1), Math.min(part.y, height - 1)];
  return { x, y, width: Math.min(part.width, width - x), height: Math.min(part.height, height - y) };
}

function sizeOf({ width, height }: FrameSize): FrameSize {
  return { width, height };
}
