/**
 * Still pictures of frames: another size, an image file, a preview. The only file of the worker that imports sharp.
 *
 * Pixels are uint8 RGB, height × width × 3. libvips gets one thread, because the other stages keep the cores busy.
 */
import sharp from 'sharp';

import type { ImageFormat } from '../../shared/contract/encoding.ts';
import type { FrameSize } from '../../shared/contract/segment.ts';

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
  const resized = await sharp(input, { raw: { ...from, channels: 3 } })
    .resize({ ...to, fit: 'fill', kernel: 'lanczos3' })
    .raw()
    .toBuffer();
  output.set(resized);
}

export async function encodeImage(pixels: Uint8Array, size: FrameSize, format: ImageFormat): Promise<Buffer> {
  const picture = sharp(pixels, { raw: { ...size, channels: 3 } });
  return (format === 'jpg' ? picture.jpeg(JPEG) : picture.png()).toBuffer();
}

/** A frame before and after the model, side by side, as a JPEG. */
export async function previewOf(
  before: { readonly pixels: Uint8Array; readonly size: FrameSize },
  after: { readonly pixels: Uint8Array; readonly size: FrameSize },
): Promise<Buffer> {
  const width = PREVIEW_WIDTH;
  const height = Math.max(1, Math.round((width * before.size.height) / before.size.width));
  const [left, right] = await Promise.all(
    [before, after].map(({ pixels, size }) =>
      sharp(pixels, { raw: { ...size, channels: 3 } })
        .resize({ width, height, fit: 'fill' })
        .png()
        .toBuffer(),
    ),
  );
  return sharp({ create: { width: 2 * width, height, channels: 3, background: 'black' } })
    .composite([
      { input: left, left: 0, top: 0 },
      { input: right, left: width, top: 0 },
    ])
    .jpeg({ quality: PREVIEW_QUALITY })
    .toBuffer();
}
