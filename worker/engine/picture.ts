/**
 * Still pictures: frames in another size, as image files and previews, and still images as frames. The only file of the worker that imports
 * sharp.
 *
 * Pixels are uint8 RGB, height × width × 3. libvips gets one thread, because the other stages keep the cores busy.
 */
import sharp, { type Sharp } from 'sharp';

import type { ImageFormat } from '../../shared/contract/encoding.ts';
import { IMAGE_PIXELS_MAX } from '../../shared/contract/limits.ts';
import type { FrameSize } from '../../shared/contract/segment.ts';
import { describeError } from '../../shared/runtime/errors.ts';
import { type FittedSize, isSameSize, wholePicture } from './fit.ts';

sharp.cache(false);
sharp.concurrency(1);

/** Nobody sees the difference to the frame. */
const JPEG = { quality: 95, chromaSubsampling: '4:4:4' } as const;
/** Of an image that is only scaled down: museums publish scans of paintings with 100 megapixels and more. */
export const SCAN_PIXELS_MAX = 16_384 * 16_384;
/** Of each of the two pictures of a preview, in pixels. */
const PREVIEW_WIDTH = 320;
const PREVIEW_QUALITY = 80;

/** Writes the picture into `output`, whose size is `to`. */
export async function resizePicture(
  input: Uint8Array,
  from: FrameSize,
  output: Uint8Array,
  to: FrameSize,
): Promise<void> {
  if (from.width === to.width && from.height === to.height) {
    output.set(input);
    return;
  }
  await fitPicture(input, from, output, wholePicture(to));
}

/** Writes the picture into the part of `output` that shows the frame; the rest is black. */
export async function fitPicture(
  input: Uint8Array,
  from: FrameSize,
  output: Uint8Array,
  to: FittedSize,
): Promise<void> {
  const { width, height } = from;
  output.set(
    await withBars(sharp(input, { raw: { width, height, channels: 3 } }), to)
      .raw()
      .toBuffer(),
  );
}

/** Writes the picture with an SVG of its size over it. */
export async function drawOver(
  input: Uint8Array,
  { width, height }: FrameSize,
  svg: string,
  output: Uint8Array,
): Promise<void> {
  const drawn = sharp(input, { raw: { width, height, channels: 3 } })
    .composite([{ input: Buffer.from(svg) }])
    .removeAlpha();
  output.set(await drawn.raw().toBuffer());
}

function withBars(picture: Sharp, { width, height, shown }: FittedSize): Sharp {
  return picture
    .resize({ width: shown.width, height: shown.height, fit: 'fill', kernel: 'lanczos3' })
    .extend({
      left: shown.x,
      top: shown.y,
      right: width - shown.x - shown.width,
      bottom: height - shown.y - shown.height,
      background: 'black',
    });
}

/** The pixels of a picture of which a part may show the frame. */
export interface FittedPixels {
  readonly pixels: Uint8Array;
  readonly size: FittedSize;
}

/** The frame that a picture shows, at its own size, as a file. */
export async function encodeImage(
  shown: FittedPixels,
  frame: FrameSize,
  format: ImageFormat,
): Promise<Buffer> {
  const picture = frameIn(shown, frame);
  return (format === 'jpg' ? picture.jpeg(JPEG) : picture.png()).toBuffer();
}

/** A frame before and after the model, side by side, as a JPEG. */
export async function previewOf(
  before: FittedPixels,
  after: FittedPixels,
  frame: FrameSize,
): Promise<Buffer> {
  const width = PREVIEW_WIDTH;
  const height = Math.max(1, Math.round((width * frame.height) / frame.width));
  const [left, right] = await Promise.all(
    [before, after].map((one) => frameIn(one, { width, height }).png().toBuffer()),
  );
  return sharp({ create: { width: 2 * width, height, channels: 3, background: 'black' } })
    .composite([
      { input: left, left: 0, top: 0 },
      { input: right, left: width, top: 0 },
    ])
    .jpeg({ quality: PREVIEW_QUALITY })
    .toBuffer();
}

/** Cuts the part out that shows the frame, and gives it this size. */
function frameIn({ pixels, size }: FittedPixels, frame: FrameSize): Sharp {
  const { width, height, shown } = size;
  const picture = sharp(pixels, { raw: { width, height, channels: 3 } });
  const cut = isSameSize(size, shown)
    ? picture
    : picture.extract({ left: shown.x, top: shown.y, width: shown.width, height: shown.height });
  return isSameSize(shown, frame) ? cut : cut.resize({ ...frame, fit: 'fill' });
}

/** What sharp says of bytes in which it recognises nothing. */
const NO_IMAGE = 'unsupported image format';

/** A still image that cannot be read. */
export class UnreadableImageError extends Error {}

export interface ImageFile {
  readonly bytes: Uint8Array;
  readonly format: StillFormat;
  /** Upright, in pixels. */
  readonly size: FrameSize;
  readonly hasAlpha: boolean;
  /** More than 8 bits a channel. */
  readonly isDeep: boolean;
  /** Pages of a document, or pictures of an animation. Only the first is read. */
  readonly pages: number;
}

const STILL_FORMATS = ['jpeg', 'png', 'webp', 'tiff', 'avif'] as const;
type StillFormat = (typeof STILL_FORMATS)[number];

/** Reads the header of a file. Throws UnreadableImageError. */
export async function openImage(bytes: Uint8Array, pixelsMax = IMAGE_PIXELS_MAX): Promise<ImageFile> {
  try {
    const {
      format,
      compression,
      autoOrient,
      hasAlpha,
      depth,
      pages = 1,
    } = await open(bytes, pixelsMax).metadata();
    // libvips calls AVIF a HEIF with another compression.
    const name = format === 'heif' && compression === 'av1' ? 'avif' : format;
    const known = STILL_FORMATS.find((one) => one === name);
    if (known === undefined) throw new RangeError(`its format is ${name}, which is not supported`);
    const size = { width: autoOrient.width, height: autoOrient.height };
    return { bytes, format: known, size, hasAlpha, isDeep: depth !== 'uchar', pages };
  } catch (cause) {
    throw unreadable(cause);
  }
}

/** The pixels of an image in the picture that the model takes. Throws UnreadableImageError. */
export async function readImage({ bytes }: ImageFile, fit: FittedSize): Promise<Buffer> {
  try {
    return await withBars(upright(bytes).removeAlpha(), fit).raw().toBuffer();
  } catch (cause) {
    throw unreadable(cause);
  }
}

/**
 * An image with other pixels: the same format, the same EXIF data and the same transparency, upright and in sRGB. `size` is that of the
 * result.
 */
export async function replacePixels(
  { bytes, format, hasAlpha, isDeep }: ImageFile,
  { pixels, size: fitted }: FittedPixels,
  size: FrameSize,
): Promise<Buffer> {
  const picture = await frameIn({ pixels, size: fitted }, size).png({ compressionLevel: 0 }).toBuffer();
  // libvips blends pixels of one depth only.
  const shallow = isDeep ? await upright(bytes).keepExif().png({ compressionLevel: 0 }).toBuffer() : bytes;
  const image = upright(shallow)
    .resize({ ...size, fit: 'fill' })
    .composite([{ input: picture, blend: 'in' }])
    .keepExif()
    .withIccProfile('srgb');
  return (hasAlpha ? image : image.removeAlpha()).toFormat(format, STILL_QUALITY[format]).toBuffer();
}

function upright(bytes: Uint8Array): Sharp {
  return open(bytes).autoOrient().toColourspace('srgb');
}

const STILL_QUALITY = {
  jpeg: JPEG,
  png: {},
  webp: { quality: 95 },
  tiff: { compression: 'deflate' },
  avif: { quality: 75, effort: 2 },
} as const;

function open(bytes: Uint8Array, pixelsMax = IMAGE_PIXELS_MAX): Sharp {
  return sharp(bytes, { limitInputPixels: pixelsMax, failOn: 'error' });
}

function unreadable(cause: unknown): UnreadableImageError {
  const found = describeError(cause);
  const why = found.includes(NO_IMAGE) ? 'it is in no known format, or damaged' : found;
  return new UnreadableImageError(`the image cannot be read: ${why}`, { cause });
}

/** An image file as the eye sees it: upright, without transparency, in sRGB, no wider than this. */
export async function readPicture(
  file: string,
  widthMax: number,
): Promise<{ pixels: Buffer; size: FrameSize }> {
  const { data, info } = await sharp(file)
    .autoOrient()
    .resize({ width: widthMax, withoutEnlargement: true })
    .toColourspace('srgb')
    .flatten()
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { pixels: data, size: { width: info.width, height: info.height } };
}

/**
 * Writes a copy of an image as the eye sees it: upright, in sRGB, without transparency, its shorter side no longer than this. The end of the
 * name says whether it is a JPEG or a PNG. Returns the standard deviation of the most varied channel, from 0 to 255. Throws
 * UnreadableImageError.
 */
export async function copyPicture(
  bytes: Uint8Array,
  to: string,
  shortSideMax: number,
): Promise<{ readonly deviation: number }> {
  try {
    await openImage(bytes, SCAN_PIXELS_MAX);
    const copy = open(bytes, SCAN_PIXELS_MAX)
      .autoOrient()
      .resize({ width: shortSideMax, height: shortSideMax, fit: 'outside', withoutEnlargement: true })
      .toColourspace('srgb')
      .flatten()
      .removeAlpha();
    const { data, info } = await copy.raw().toBuffer({ resolveWithObject: true });
    const { width, height } = info;
    const picture = sharp(data, { raw: { width, height, channels: 3 } });
    await (to.endsWith('.png') ? picture.clone().png() : picture.clone().jpeg(JPEG)).toFile(to);
    const { channels } = await picture.stats();
    return { deviation: Math.max(...channels.map(({ stdev }) => stdev)) };
  } catch (cause) {
    throw unreadable(cause);
  }
}

/** Of the pictures beside each other, in pixels. */
const SHEET_HEIGHT = 360;
const SHEET_GAP = 8;
const SHEET_QUALITY = 90;

/** An image file and frames beside each other, as a JPEG. */
export async function sideBySide(
  file: string,
  frames: readonly { readonly pixels: Uint8Array; readonly size: FrameSize }[],
): Promise<Buffer> {
  const all = [
    sharp(file),
    ...frames.map(({ pixels, size: { width, height } }) =>
      sharp(pixels, { raw: { width, height, channels: 3 } }),
    ),
  ];
  const cells = await Promise.all(
    all.map((one) => one.resize({ height: SHEET_HEIGHT }).png().toBuffer({ resolveWithObject: true })),
  );
  let width = 0;
  const placed = cells.map(({ data, info }) => {
    const left = width;
    width += info.width + SHEET_GAP;
    return { input: data, left, top: 0 };
  });
  const create = {
    width: Math.max(1, width - SHEET_GAP),
    height: SHEET_HEIGHT,
    channels: 3 as const,
    background: 'white',
  };
  return sharp({ create }).composite(placed).jpeg({ quality: SHEET_QUALITY }).toBuffer();
}
