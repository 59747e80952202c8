/** Decodes a JPEG with libvips: another decoder than that of the fleet. */
import sharp from 'sharp';

/** Pixels are uint8 RGB, height x width x 3. */
export async function decodeJpeg(
  bytes: Uint8Array,
): Promise<{ readonly pixels: Uint8Array; readonly width: number; readonly height: number }> {
  const { data, info } = await sharp(bytes, { failOn: 'error' })
    .removeAlpha()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { pixels: data, width: info.width, height: info.height };
}
