/**
 * Still pictures of frames: another size, an image file, a preview. The only file of the worker that imports sharp.
 *
 * Pixels are uint8 RGB, height × width × 3. libvips gets one thread, because the other stages keep the cores busy.
 */
import sharp, { type Sharp } from 'sharp';

import type { ImageFormat } from '../../shared/contract/encoding.ts';
import type { FrameSize } from '../../shared/contract/segment.ts';
import { type FittedSize, isSameSize } from './fit.ts';

sharp.cache(false);
sharp.concurrency(1);

/** Nobody sees the difference to the frame. */
const JPEG = { quality: 95, chromaSubsampling: '4:4:4' } as const;
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
  const resized = await sharp(input, { raw: { width: from.width, height: from.height, channels: 3 } })
    .resize({ width: to.width, height: to.height, fit: 'fill', kernel: 'lanczos3' })
    .raw()
    .toBuffer();
  output.set(resized);
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
