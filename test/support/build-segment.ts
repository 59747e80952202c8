/** Builds a segment as an encoder writes it, with text in place of encoded frames. */

/** `order` is the display index of each frame in decoding order. Nominal timestamps, 10 ticks a frame. */
export function segmentBytes(order: readonly number[]): Buffer {
  const depth = order.reduce((most, displayIndex, index) => Math.max(most, index - displayIndex), 0);
  const payloads = order.map((displayIndex) => Buffer.from(`frame ${displayIndex}`));
  const header = [boxBytes('ftyp', Buffer.from('iso5')), boxBytes('moov', trak())];
  const run = order.flatMap((displayIndex, index) => [
    payloads[index]?.length ?? 0,
    index === 0 ? 0x200_0000 : 0x101_0000,
    (displayIndex + depth - index) * 10,
  ]);
  const moofOf = (dataOffset: number): Buffer => {
    const tfhd = full('tfhd', 0x02_0008, [1, 10]);
    const trun = full('trun', 0xe01, [order.length, dataOffset, ...run]);
    return boxBytes(
      'moof',
      Buffer.concat([full('mfhd', 0, [1]), boxBytes('traf', Buffer.concat([tfhd, trun]))]),
    );
  };
  const moof = moofOf(moofOf(0).length + 8);
  return Buffer.concat([...header, moof, boxBytes('mdat', Buffer.concat(payloads))]);
}

/** A track with a time scale of 250. */
function trak(): Buffer {
  return boxBytes('trak', boxBytes('mdia', full('mdhd', 0, [0, 0, 250, 0, 0])));
}

function full(type: string, flags: number, numbers: readonly number[]): Buffer {
  const body = Buffer.alloc(4 + numbers.length * 4);
  body.writeUInt32BE(flags);
  for (const [index, number] of numbers.entries()) body.writeInt32BE(number, 4 + index * 4);
  return boxBytes(type, body);
}

export function boxBytes(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(body.length + 8);
  head.write(type, 4, 'latin1');
  return Buffer.concat([head, body]);
}
