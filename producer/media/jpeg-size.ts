/** PURE. Reads the size of a JPEG from its frame header (ISO/IEC 10918-1, B.2.2). */
const START_OF_IMAGE = 0xffd8;
const END_OF_IMAGE = 0xffd9;
/** Markers 0xC0 to 0xCF start a frame, except these three. */
const NOT_FRAMES = new Set([0xc4, 0xc8, 0xcc]);

/** Throws RangeError if the bytes are not a JPEG. */
export function jpegSize(jpeg: Buffer): { readonly width: number; readonly height: number } {
  if (jpeg.length < 4 || jpeg.readUInt16BE(0) !== START_OF_IMAGE) throw new RangeError('expected a JPEG');
  let offset = 2;
  while (offset + 9 <= jpeg.length) {
    const marker = jpeg.readUInt8(offset + 1);
    if (marker >= 0xc0 && marker <= 0xcf && !NOT_FRAMES.has(marker)) {
      return { height: jpeg.readUInt16BE(offset + 5), width: jpeg.readUInt16BE(offset + 7) };
    }
    offset += 2 + jpeg.readUInt16BE(offset + 2);
  }
  throw new RangeError('expected a JPEG with a frame header');
}

/** Whether the bytes start and end like a JPEG and state a size. Does not check that they decode. */
export function isWholeJpeg(bytes: Buffer): boolean {
  if (bytes.length < 4 || bytes.readUInt16BE(bytes.length - 2) !== END_OF_IMAGE) return false;
  try {
    const { width, height } = jpegSize(bytes);
    return width > 0 && height > 0;
  } catch {
    return false;
  }
}
