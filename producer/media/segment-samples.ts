/**
 * PURE. Reads a segment as a worker's encoder wrote it: a fragmented MP4 with one video track. Returns its header, the parameter sets of
 * its encoder and, for each packet, its bytes and its place in display order.
 *
 * Boxes: ISO/IEC 14496-12. Segments come from storage, so every length is checked against the bytes that are there.
 */
import { type Mp4Box, boxesOf } from './mp4-boxes.ts';

interface Sample {
  readonly data: Buffer;
  /** In display order, from 0. Samples are in decoding order. */
  readonly displayIndex: number;
  readonly isKeyFrame: boolean;
  /** In ticks of the track. */
  readonly decodedAt: number;
  readonly presentedAt: number;
}

export interface SegmentSamples {
  /** The boxes `ftyp` and `moov`. */
  readonly header: Buffer;
  /** The parameter sets that the header states, as a packet holds them: each after its length in 4 bytes. */
  readonly parameterSets: Buffer;
  readonly samples: readonly Sample[];
}

/** Bits of the flags in `tfhd` and `trun`. */
const TFHD = { baseDataOffset: 1, description: 2, duration: 8, size: 0x10, flags: 0x20 } as const;
const TRUN = {
  dataOffset: 1,
  firstFlags: 4,
  duration: 0x100,
  size: 0x200,
  flags: 0x400,
  composition: 0x800,
} as const;
/** In a sample's flags. */
const IS_NOT_KEY_FRAME = 0x1_0000;

/** Throws RangeError if the bytes are not such a segment. */
export function readSegment(bytes: Buffer): SegmentSamples {
  const boxes = boxesOf(bytes);
  const moov = boxes.find(({ type }) => type === 'moov');
  if (moov === undefined) throw new RangeError('expected a segment with a moov box');
  const found: Omit<Sample, 'displayIndex'>[] = [];
  let decodedAt = 0;
  for (const moof of boxes.filter(({ type }) => type === 'moof')) {
    const traf = boxesOf(bodyOf(boxesOf(moof.body), 'traf'));
    const defaults = readTrackFragment(bodyOf(traf, 'tfhd'));
    decodedAt = baseTimeOf(traf) ?? decodedAt;
    for (const { body } of traf.filter(({ type }) => type === 'trun')) {
      for (const { offset, size, duration, flags, composition } of readRun(body, defaults)) {
        const start = moof.start + offset;
        if (start < 0 || start + size > bytes.length) throw new RangeError('a sample is outside the segment');
        found.push({
          data: bytes.subarray(start, start + size),
          isKeyFrame: (flags & IS_NOT_KEY_FRAME) === 0,
          decodedAt,
          presentedAt: decodedAt + composition,
        });
        decodedAt += duration;
      }
    }
  }
  if (found.length === 0) throw new RangeError('expected a segment with frames');
  const ordered = found.toSorted((a, b) => a.presentedAt - b.presentedAt);
  const displayIndexOf = new Map(ordered.map((sample, displayIndex) => [sample, displayIndex]));
  return {
    header: bytes.subarray(0, moov.start + 8 + moov.body.length),
    parameterSets: parameterSetsOf(moov.body),
    samples: found.map((sample) => ({ ...sample, displayIndex: displayIndexOf.get(sample) ?? 0 })),
  };
}

/** The fields of a visual sample entry before its boxes, and those of `stsd` before its entries. */
const SAMPLE_ENTRY_BYTES = 78;
const STSD_BYTES = 8;

/** From `avcC` (ISO/IEC 14496-15, 5.3.3) or `hvcC` (8.3.3). Empty for a codec without them. */
function parameterSetsOf(moov: Buffer): Buffer {
  const stsd = ['trak', 'mdia', 'minf', 'stbl', 'stsd'].reduce(
    (body, type) => bodyOf(boxesOf(body), type),
    moov,
  );
  const [entry] = boxesOf(stsd.subarray(STSD_BYTES));
  if (entry === undefined) throw new RangeError('expected a sample entry');
  const boxes = boxesOf(entry.body.subarray(SAMPLE_ENTRY_BYTES));
  const avc = boxes.find(({ type }) => type === 'avcC')?.body;
  if (avc !== undefined) return readAvcSets(avc);
  const hevc = boxes.find(({ type }) => type === 'hvcC')?.body;
  return hevc === undefined ? Buffer.alloc(0) : readHevcSets(hevc);
}

function readAvcSets(avcC: Buffer): Buffer {
  const spsCount = avcC.readUInt8(5) & 0x1f;
  const sps = readSets(avcC, 6, spsCount);
  const ppsCount = avcC.readUInt8(sps.end);
  const pps = readSets(avcC, sps.end + 1, ppsCount);
  return Buffer.concat([...sps.sets, ...pps.sets]);
}

function readHevcSets(hvcC: Buffer): Buffer {
  const found: Buffer[] = [];
  let at = 23;
  for (let array = hvcC.readUInt8(22); array > 0; array -= 1) {
    const { sets, end } = readSets(hvcC, at + 3, hvcC.readUInt16BE(at + 1));
    found.push(...sets);
    at = end;
  }
  return Buffer.concat(found);
}

/** Reads `count` sets that each follow their length in 2 bytes. Returns them after their lengths in 4 bytes. */
function readSets(
  body: Buffer,
  start: number,
  count: number,
): { readonly sets: Buffer[]; readonly end: number } {
  const sets: Buffer[] = [];
  let at = start;
  for (let index = 0; index < count; index += 1) {
    const size = body.readUInt16BE(at);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(size);
    sets.push(length, body.subarray(at + 2, at + 2 + size));
    at += 2 + size;
  }
  return { sets, end: at };
}

/** The decoding time of a fragment's first sample; undefined if it does not state one. */
function baseTimeOf(traf: readonly Mp4Box[]): number | undefined {
  const tfdt = traf.find(({ type }) => type === 'tfdt')?.body;
  if (tfdt === undefined) return undefined;
  return tfdt[0] === 1 ? Number(tfdt.readBigUInt64BE(4)) : tfdt.readUInt32BE(4);
}

interface RunDefaults {
  readonly duration: number;
  readonly size: number;
  readonly flags: number;
}

function readTrackFragment(tfhd: Buffer): RunDefaults {
  const has = flagsOf(tfhd);
  let at = 8;
  const next = (isThere: boolean, bytes = 4): number => {
    if (!isThere) return 0;
    const value = bytes === 4 ? tfhd.readUInt32BE(at) : 0;
    at += bytes;
    return value;
  };
  next((has & TFHD.baseDataOffset) !== 0, 8);
  next((has & TFHD.description) !== 0);
  return {
    duration: next((has & TFHD.duration) !== 0),
    size: next((has & TFHD.size) !== 0),
    flags: next((has & TFHD.flags) !== 0),
  };
}

interface RunSample extends RunDefaults {
  /** From the start of the `moof`. */
  readonly offset: number;
  readonly composition: number;
}

function* readRun(trun: Buffer, defaults: RunDefaults): Generator<RunSample> {
  const has = flagsOf(trun);
  const count = trun.readUInt32BE(4);
  let at = 8;
  const next = (flag: number, otherwise: number, isSigned = false): number => {
    if ((has & flag) === 0) return otherwise;
    const value = isSigned ? trun.readInt32BE(at) : trun.readUInt32BE(at);
    at += 4;
    return value;
  };
  let offset = next(TRUN.dataOffset, 0, true);
  const firstFlags = next(TRUN.firstFlags, -1);
  for (let index = 0; index < count; index += 1) {
    const duration = next(TRUN.duration, defaults.duration);
    const size = next(TRUN.size, defaults.size);
    const own = next(TRUN.flags, defaults.flags);
    const flags = index === 0 && firstFlags !== -1 ? firstFlags : own;
    const composition = next(TRUN.composition, 0, true);
    yield { offset, size, duration, flags, composition };
    offset += size;
  }
}

/** The 24 bits after the version of a full box. */
function flagsOf(body: Buffer): number {
  return body.readUIntBE(1, 3);
}

function bodyOf(boxes: readonly Mp4Box[], type: string): Buffer {
  const box = boxes.find((one) => one.type === type);
  if (box === undefined) throw new RangeError(`expected a ${type} box`);
  return box.body;
}
