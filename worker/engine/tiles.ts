/**
 * Scores a large frame in tiles that overlap, so that the memory of the model does not depend on the size of the frame. Only the middle of a
 * tile is kept: its pixels have all their neighbours in the tile. PURE, but for the copies between buffers.
 */
import type { ModelManifest } from '../../shared/contract/model-manifest.ts';
import type { FrameSize } from '../../shared/contract/segment.ts';

/** Bytes of a pixel: packed RGB. */
const PIXEL_BYTES = 3;

interface Span {
  /** Where the tile starts. */
  readonly start: number;
  /** The part that is kept. */
  readonly from: number;
  readonly to: number;
}

/** All tiles of a frame have one size, and their kept parts cover the frame without a gap. */
export interface Tiling {
  readonly tile: FrameSize;
  readonly columns: readonly Span[];
  readonly rows: readonly Span[];
}

/** Undefined if the frame is not larger than a tile. */
export function tilingOf({ tile }: ModelManifest['input'], frame: FrameSize): Tiling | undefined {
  if (tile === undefined || (frame.width <= tile.width && frame.height <= tile.height)) return undefined;
  const size = { width: Math.min(tile.width, frame.width), height: Math.min(tile.height, frame.height) };
  return {
    tile: size,
    columns: spansOf(frame.width, size.width, tile.overlap),
    rows: spansOf(frame.height, size.height, tile.overlap),
  };
}

/** As few spans as cover a side with `overlap` pixels around each kept part, evenly spread. */
function spansOf(length: number, tile: number, overlap: number): Span[] {
  const kept = Math.max(1, tile - 2 * overlap);
  const count = length <= tile ? 1 : Math.max(2, Math.ceil((length - 2 * overlap) / kept));
  const starts = Array.from({ length: count }, (_, index) =>
    count === 1 ? 0 : Math.round((index * (length - tile)) / (count - 1)),
  );
  /** In the middle of what two tiles share. */
  const border = (index: number): number =>
    Math.floor(((starts[index - 1] ?? 0) + tile + (starts[index] ?? 0)) / 2);
  return starts.map((start, index) => ({
    start,
    from: index === 0 ? 0 : border(index),
    to: index === count - 1 ? length : border(index + 1),
  }));
}

export interface TiledFrame {
  readonly size: FrameSize;
  /** Packed RGB. */
  readonly pixels: Uint8Array;
}

/** Copies a tile out of a frame. */
export function readTile(
  { size, pixels }: TiledFrame,
  { x, y }: { readonly x: number; readonly y: number },
  tile: TiledFrame,
): void {
  const rowBytes = tile.size.width * PIXEL_BYTES;
  for (let row = 0; row < tile.size.height; row += 1) {
    const start = ((y + row) * size.width + x) * PIXEL_BYTES;
    tile.pixels.set(pixels.subarray(start, start + rowBytes), row * rowBytes);
  }
}

/** Copies the kept part of a tile into a frame. Both are `scale` times as large as the tiling says. */
export function writeTile(
  frame: TiledFrame,
  { column, row, scale }: { readonly column: Span; readonly row: Span; readonly scale: number },
  tile: TiledFrame,
): void {
  const [left, right] = [column.from * scale, column.to * scale];
  for (let y = row.from * scale; y < row.to * scale; y += 1) {
    const inTile = ((y - row.start * scale) * tile.size.width + left - column.start * scale) * PIXEL_BYTES;
    const bytes = (right - left) * PIXEL_BYTES;
    const inFrame = (y * frame.size.width + left) * PIXEL_BYTES;
    frame.pixels.set(tile.pixels.subarray(inTile, inTile + bytes), inFrame);
  }
}
