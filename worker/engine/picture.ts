/**
 * JPEG to pixels and back. The only importer of sharp.
 *
 * Pixels are uint8 RGB, height × width × 3. One libvips thread a picture: frames in flight keep the cores busy already.
 */
import sharp from 'sharp';

sharp.cache(false);
sharp.concurrency(1);

export interface Picture {
  /** Backed by a buffer of its own, which can be transferred to another thread. */
  readonly pixels: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** Throws where the bytes are no whole picture. */
export async function decodePicture(bytes: Uint8Array): Promise<Picture> {
  const { data, info } = await sharp(bytes, { failOn: 'error', sequentialRead: true })
    .removeAlpha()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  // A copy, because a Buffer of sharp cannot be transferred. Its toUint8Array could be, but never frees what it returns
  // (sharp 0.35.5: resident memory grows by the size of every picture).
  return { pixels: new Uint8Array(data), width: info.width, height: info.height };
}

/** The same pixels always give the same bytes. */
export async function encodePicture(
  { pixels, width, height }: Picture,
  { quality }: { readonly quality: number },
): Promise<Buffer> {
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .jpeg({ quality, chromaSubsampling: '4:2:0' })
    .toBuffer();
}
