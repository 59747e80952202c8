/** Arranges pictures of one size in rows. The only file of the producer that imports sharp. */
import sharp from 'sharp';

sharp.cache(false);
sharp.concurrency(1);

const COLUMNS = 2;
/** Between pictures and around them, in pixels. */
const GAP = 8;
const BACKGROUND = '#202020';
const QUALITY = 85;

/** Returns a JPEG. Throws if a picture cannot be read. */
export async function contactSheet(pictures: readonly Buffer[]): Promise<Buffer> {
  const { width, height } = await sharp(pictures[0]).metadata();
  const columns = Math.min(COLUMNS, pictures.length);
  const rows = Math.ceil(pictures.length / columns);
  const background = {
    width: columns * (width + GAP) + GAP,
    height: rows * (height + GAP) + GAP,
    channels: 3,
    background: BACKGROUND,
  } as const;
  // Previews of still images have different shapes.
  const cells = await Promise.all(
    pictures.map((picture) =>
      sharp(picture).resize({ width, height, fit: 'contain', background: BACKGROUND }).toBuffer(),
    ),
  );
  return sharp({ create: background })
    .composite(
      cells.map((input, number) => ({
        input,
        left: GAP + (number % columns) * (width + GAP),
        top: GAP + Math.floor(number / columns) * (height + GAP),
      })),
    )
    .jpeg({ quality: QUALITY })
    .toBuffer();
}

/** Of an image file or its bytes, from its header; undefined if it is not one. */
export async function megapixelsOf(file: string | Buffer): Promise<number | undefined> {
  try {
    const { width, height } = await sharp(file, { limitInputPixels: false }).metadata();
    return (width * height) / 1e6;
  } catch {
    return undefined;
  }
}
