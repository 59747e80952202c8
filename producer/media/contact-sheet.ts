/** Arranges pictures of one size in rows. The only file of the producer that imports sharp. */
import sharp from 'sharp';

import type { SheetCells } from './sheet-metadata.ts';

sharp.cache(false);
sharp.concurrency(1);

const COLUMNS = 2;
/** Between pictures and around them, in pixels. */
const GAP = 8;
const BACKGROUND = '#202020';
const QUALITY = 85;

interface CellSize {
  readonly width: number;
  readonly height: number;
}

/** Throws if a picture cannot be read. */
export async function contactSheet(
  pictures: readonly Buffer[],
): Promise<{ readonly jpeg: Buffer; readonly cell: CellSize }> {
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
  const jpeg = await sharp({ create: background })
    .composite(
      cells.map((input, number) => ({
        input,
        ...placeOf(number, columns, { width, height }),
      })),
    )
    .jpeg({ quality: QUALITY })
    .toBuffer();
  return { jpeg, cell: { width, height } };
}

function placeOf(number: number, columns: number, { width, height }: CellSize) {
  return {
    left: GAP + (number % columns) * (width + GAP),
    top: GAP + Math.floor(number / columns) * (height + GAP),
  };
}

/** Cuts the left or the right half of a cell out of a sheet. Throws if there is no such cell. */
export async function cutFromSheet(
  sheet: Buffer,
  { frames, width, height }: SheetCells,
  { number, half }: { readonly number: number; readonly half: 'left' | 'right' },
): Promise<Buffer> {
  const { left, top } = placeOf(number, Math.min(COLUMNS, frames.length), { width, height });
  const middle = Math.floor(width / 2);
  const cut = { left: left + (half === 'left' ? 0 : middle), top, width: middle, height };
  return sharp(sheet).extract(cut).jpeg({ quality: QUALITY }).toBuffer();
}

/** Of an image file or its bytes, from its header; undefined if it is not one. */
export async function megapixelsOf(file: string | Buffer): Promise<number | undefined> {
  const size = await imageSizeOf(file);
  return size && (size.width * size.height) / 1e6;
}

/** As it is shown: upright. Undefined if it is not an image. */
export async function imageSizeOf(
  file: string | Buffer,
): Promise<{ readonly width: number; readonly height: number } | undefined> {
  try {
    return (await sharp(file, { limitInputPixels: false }).metadata()).autoOrient;
  } catch {
    return undefined;
  }
}
