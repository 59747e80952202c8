/**
 * JPEG to pixels and back. The only file that imports sharp.
 *
 * Pixels are uint8 RGB, height × width × 3. libvips gets one thread per picture, because the frames in flight keep the cores busy.
 */
import sharp from 'sharp';

sharp.cache(false);
sharp.concurrency(1);

export interface RgbPicture {
  /** Backed by a buffer of its own, which can be transferred to another thread. */
  readonly pixels: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** Throws if the bytes are not one complete picture. */
export async function decodePicture(bytes: Uint8Array): Promise<RgbPicture> {
  const { data, info } = await sharp(bytes, { failOn: 'error', sequentialRead: true })
    .removeAlpha()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  // A copy, because a Buffer of sharp cannot be transferred. The result of its toUint8Array can, but is never freed
  // (sharp 0.35.5: resident memory grows by the size of every picture).
  return { pixels: new Uint8Array(data), width: info.width, height: info.height };
}

/** The same pixels always give the same bytes. */
export async function encodePicture({ pixels, width, height }: RgbPicture, quality: number): Promise<Buffer> {
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .jpeg({ quality, chromaSubsampling: '4:2:0' })
    .toBuffer();
}
