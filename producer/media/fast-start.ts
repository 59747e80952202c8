/**
 * PURE. Moves the index of an .mp4 or .mov from its end to its front, where players that stream look for it: what ffmpeg does with
 * `-movflags +faststart`, without reading the media data.
 */
import { type Mp4Box, boxesOf, makeBox } from './mp4-boxes.ts';

/** Boxes on the path to a table of chunk offsets. */
const CONTAINERS = new Set(['moov', 'trak', 'mdia', 'minf', 'stbl']);
/** Version, flags and number of entries. */
const TABLE_HEADER_BYTES = 8;
const OFFSET_32_MAX = 2 ** 32 - 1;

/**
 * `moov`: the box from the end of the file. Returns the box to put in front of the media data. It moves that data by its own length, so
 * each offset in it is that much larger. Tables whose offsets may not fit into 32 bits then get 64. Throws RangeError.
 */
export function indexForFront(moov: Buffer): Buffer {
  const tables = [...chunkTables(boxesOf(moov))];
  const furthest = tables.reduce((max, table) => Math.max(max, ...ends(table)), 0);
  const isWide = furthest + moov.length > OFFSET_32_MAX;
  const narrow = tables.filter(({ type }) => type === 'stco');
  const growth = isWide ? narrow.reduce((sum, { body }) => sum + 4 * body.readUInt32BE(4), 0) : 0;
  return Buffer.concat(boxesOf(moov).map((box) => moved(box, moov.length + growth, isWide)));
}

function* chunkTables(boxes: readonly Mp4Box[]): Generator<Mp4Box> {
  for (const box of boxes) {
    if (CONTAINERS.has(box.type)) yield* chunkTables(boxesOf(box.body));
    if (box.type === 'stco' || box.type === 'co64') yield box;
  }
}

/** Offsets ascend, so the last one is the largest. */
function ends(table: Mp4Box): readonly number[] {
  return offsetsOf(table).slice(-1);
}

function moved(box: Mp4Box, by: number, isWide: boolean): Buffer {
  const { type, body } = box;
  if (CONTAINERS.has(type))
    return makeBox(
      type,
      boxesOf(body).map((inner) => moved(inner, by, isWide)),
    );
  if (type !== 'stco' && type !== 'co64') return makeBox(type, [body]);
  const is64 = type === 'co64' || isWide;
  const offsets = offsetsOf(box);
  const entries = Buffer.alloc(offsets.length * (is64 ? 8 : 4));
  for (const [index, offset] of offsets.entries()) {
    if (is64) entries.writeBigUInt64BE(BigInt(offset + by), index * 8);
    else entries.writeUInt32BE(offset + by, index * 4);
  }
  return makeBox(is64 ? 'co64' : 'stco', [body.subarray(0, TABLE_HEADER_BYTES), entries]);
}

function offsetsOf({ type, body }: Mp4Box): readonly number[] {
  const count = body.readUInt32BE(4);
  return Array.from({ length: count }, (_, index) =>
    type === 'co64'
      ? Number(body.readBigUInt64BE(TABLE_HEADER_BYTES + index * 8))
      : body.readUInt32BE(TABLE_HEADER_BYTES + index * 4),
  );
}
