/** PURE. The boxes of an MP4 file (ISO/IEC 14496-12), with sizes of 32 bits. */

export interface Mp4Box {
  readonly type: string;
  /** From the start of the box, its own header included. */
  readonly start: number;
  readonly body: Buffer;
}

/** The boxes one after the other. Throws RangeError if a box ends after the bytes. */
export function boxesOf(bytes: Buffer): Mp4Box[] {
  const boxes: Mp4Box[] = [];
  for (let start = 0; start < bytes.length;) {
    const size = bytes.readUInt32BE(start);
    if (size < 8 || start + size > bytes.length) throw new RangeError('a box ends after its container');
    boxes.push({
      type: bytes.toString('latin1', start + 4, start + 8),
      start,
      body: bytes.subarray(start + 8, start + size),
    });
    start += size;
  }
  return boxes;
}

export function makeBox(type: string, parts: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(parts.reduce((sum, part) => sum + part.length, 8));
  header.write(type, 4, 'latin1');
  return Buffer.concat([header, ...parts]);
}
