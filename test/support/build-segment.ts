/** Builds a segment as an encoder writes it, with text in place of encoded frames. */
import { boxOf } from './mp4-boxes.ts';

/**
 * `order` is the display index of each frame in decoding order. Nominal timestamps, 10 ticks a frame. `build` names the build of the
 * encoder: it is in the parameter sets.
 */
export function segmentBytes(order: readonly number[], build = 'a'): Buffer {
  const depth = order.reduce((most, displayIndex, index) => Math.max(most, index - displayIndex), 0);
  const payloads = order.map((displayIndex) => Buffer.from(`frame ${displayIndex}`));
  const header = [boxOf('ftyp', Buffer.from('iso5')), boxOf('moov', trak(build))];
  const run = order.flatMap((displayIndex, index) => [
    payloads[index]?.length ?? 0,
    index === 0 ? 0x200_0000 : 0x101_0000,
    (displayIndex + depth - index) * 10,
  ]);
  const moofOf = (dataOffset: number): Buffer => {
    const tfhd = full('tfhd', 0x02_0008, [1, 10]);
    const trun = full('trun', 0xe01, [order.length, dataOffset, ...run]);
    return boxOf('moof', Buffer.concat([full('mfhd', 0, [1]), boxOf('traf', Buffer.concat([tfhd, trun]))]));
  };
  const moof = moofOf(moofOf(0).length + 8);
  return Buffer.concat([...header, moof, boxOf('mdat', Buffer.concat(payloads))]);
}

/** A track with a time scale of 250. */
function trak(build: string): Buffer {
  const sets = ['sps', 'pps'].map((name) => Buffer.from(`\u0001\0${String.fromCharCode(5)}${name}-${build}`));
  const avcC = boxOf('avcC', Buffer.concat([Buffer.alloc(5), ...sets]));
  const entry = boxOf('avc1', Buffer.concat([Buffer.alloc(78), avcC]));
  const stsd = boxOf('stsd', Buffer.concat([Buffer.alloc(8), entry]));
  const media = [full('mdhd', 0, [0, 0, 250, 0, 0]), boxOf('minf', boxOf('stbl', stsd))];
  return boxOf('trak', boxOf('mdia', Buffer.concat(media)));
}

function full(type: string, flags: number, numbers: readonly number[]): Buffer {
  const body = Buffer.alloc(4 + numbers.length * 4);
  body.writeUInt32BE(flags);
  for (const [index, number] of numbers.entries()) body.writeInt32BE(number, 4 + index * 4);
  return boxOf(type, body);
}
