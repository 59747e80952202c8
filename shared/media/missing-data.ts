/**
 * Detects truncated files by their structure: whether the container declares media data beyond the end of the file.
 *
 * Durations and frame counts cannot show this: the picture may be shorter than the sound, a capture may drop frames, and an
 * edit list may hide some. So the container's own lengths are followed from element to element, reading a few bytes of each.
 * A container that declares no lengths (MPEG-TS, a live recording) counts as complete, and so does one that lacks only its
 * index or tags. Damage in the middle is found by decoding (`producer/media/decode-frames.ts`).
 *
 * Sources: ISO/IEC 14496-12, 4.2; RFC 8794 and RFC 9559; Microsoft's "AVI RIFF File Reference"; Adobe's "Video File Format
 * Specification" 10.1, annex E; Microsoft's "ASF Specification", 3 and 5; RFC 3533, 6; SMPTE ST 377-1, 7.1.
 */
import type { FileHandle } from 'node:fs/promises';

/** Elements followed in one file: enough for 500 GB of Matroska. Bounds the work on a file that consists of empty elements. */
const ELEMENTS_MAX = 200_000;
/** An Ogg page has at most 65,307 bytes. */
const OGG_TAIL_BYTES = 65_536 + 512;

/** Reads bytes of the file: fewer at its end. */
type ReadAt = (position: number, length: number) => Promise<Buffer>;

interface SourceBytes {
  readonly read: ReadAt;
  readonly sizeBytes: number;
}

/** How many declared bytes of media data are missing: 0 if none are, or if the container declares no lengths. */
export async function countMissingBytes(file: FileHandle, sizeBytes: number): Promise<number> {
  const read: ReadAt = async (position, length) => {
    if (!(position >= 0 && position < sizeBytes)) return Buffer.alloc(0);
    const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, position);
    return buffer.subarray(0, bytesRead);
  };
  const source = { read, sizeBytes };
  const head = await read(0, 16);
  const at = (offset: number, text: string): boolean =>
    head.toString('latin1', offset, offset + text.length) === text;
  if (at(0, 'RIFF') && at(8, 'AVI ')) return missingInAvi(source);
  if (at(0, '\x1a\x45\xdf\xa3')) return missingInMatroska(source);
  if (at(0, 'FLV')) return missingInFlv(source);
  if (at(0, 'OggS')) return missingInOgg(source);
  if (head.equals(Buffer.from('3026b2758e66cf11a6d900aa0062ce6c', 'hex'))) return missingInAsf(source);
  if (at(0, '\x06\x0e\x2b\x34\x02\x05\x01\x01')) return missingInMxf(source);
  return missingInMp4(source);
}

/** The boxes of .mp4 and .mov that hold picture and sound, or their index. */
const MP4_MEDIA = new Set(['mdat', 'moof', 'moov']);

async function missingInMp4({ read, sizeBytes }: SourceBytes): Promise<number> {
  let position = 0;
  for (let count = 0; count < ELEMENTS_MAX && position < sizeBytes; count += 1) {
    const header = await read(position, 16);
    if (header.length < 8) return 0;
    const type = header.toString('latin1', 4, 8);
    const short = header.readUInt32BE(0);
    // 0 means "to the end of the file"; 1 means "the size follows the type".
    const size = short === 1 && header.length === 16 ? Number(header.readBigUInt64BE(8)) : short;
    if (size < 8 || !/^[\w ]{4}$/.test(type)) return 0;
    if (position + size > sizeBytes) return MP4_MEDIA.has(type) ? position + size - sizeBytes : 0;
    position += size;
  }
  return 0;
}

const SEGMENT = 0x18538067;
const SEEK_HEAD = 0x114d9b74;
const CLUSTER = 0x1f43b675;
const CUES = 0x1c53bb6b;
const TAGS = 0x1254c367;
/** It holds a few entries of about 20 bytes each. */
const SEEK_HEAD_BYTES_MAX = 4_096;

async function missingInMatroska(source: SourceBytes): Promise<number> {
  const { read, sizeBytes } = source;
  const ebml = ebmlElement(await read(0, 12));
  if (ebml === undefined) return 0;
  const segmentStart = ebml.headerBytes + ebml.size;
  const segment = ebmlElement(await read(segmentStart, 12));
  if (segment?.id !== SEGMENT || !Number.isFinite(segment.size)) return 0;
  const dataStart = segmentStart + segment.headerBytes;
  const missing = dataStart + segment.size - sizeBytes;
  if (missing <= 0) return 0;

  let position = dataStart;
  let cuesAt: number | undefined;
  for (let count = 0; count < ELEMENTS_MAX && position < sizeBytes; count += 1) {
    const element = ebmlElement(await read(position, 12));
    if (element === undefined || !Number.isFinite(element.size)) return 0;
    const { id, headerBytes, size } = element;
    const end = position + headerBytes + size;
    if (end > sizeBytes) return id === CLUSTER ? end - sizeBytes : 0;
    // In a finished file, the index and the tags are either before the clusters or after them.
    if (id === CUES || id === TAGS) cuesAt = Math.max(cuesAt ?? 0, position);
    if (id === SEEK_HEAD)
      cuesAt ??= announcedCues(
        await read(position + headerBytes, Math.min(size, SEEK_HEAD_BYTES_MAX)),
        dataStart,
      );
    position = end;
  }
  // Truncated between two clusters, or after the last one: then only the index is missing.
  return cuesAt !== undefined && cuesAt <= sizeBytes && cuesAt >= position ? 0 : missing;
}

/** The position of the Cues according to the seek head. */
function announcedCues(seekHead: Buffer, dataStart: number): number | undefined {
  // SeekID (53AB) of the Cues, 4 bytes; then SeekPosition (53AC), an unsigned integer of 1 to 8 bytes.
  const at = seekHead.indexOf('53ab841c53bb6b53ac', 'hex');
  const length = at === -1 ? 0 : (seekHead[at + 9] ?? 0) & 0x7f;
  if (length < 1 || length > 6 || at + 10 + length > seekHead.length) return undefined;
  return dataStart + seekHead.readUIntBE(at + 10, length);
}

/** The header of an EBML element. Its size is Infinity if the file does not declare it. */
function ebmlElement(
  bytes: Buffer,
): { readonly id: number; readonly headerBytes: number; readonly size: number } | undefined {
  const idBytes = Math.clz32(bytes[0] ?? 0) - 23;
  if (idBytes > 4 || bytes.length < idBytes + 1) return undefined;
  const sizeBytes = Math.clz32(bytes[idBytes] ?? 0) - 23;
  if (sizeBytes > 8 || bytes.length < idBytes + sizeBytes) return undefined;
  let size = (bytes[idBytes] ?? 0) & (0xff >> sizeBytes);
  let isUnknown = size === 0xff >> sizeBytes;
  for (const byte of bytes.subarray(idBytes + 1, idBytes + sizeBytes)) {
    size = size * 256 + byte;
    isUnknown &&= byte === 0xff;
  }
  const id = bytes.readUIntBE(0, idBytes);
  return { id, headerBytes: idBytes + sizeBytes, size: isUnknown ? Infinity : size };
}

async function missingInAvi({ read, sizeBytes }: SourceBytes): Promise<number> {
  let position = 0;
  for (let count = 0; count < ELEMENTS_MAX && position < sizeBytes; count += 1) {
    const header = await read(position, 12);
    if (header.length < 12) return 0;
    const [id, kind] = [header.toString('latin1', 0, 4), header.toString('latin1', 8, 12)];
    const size = header.readUInt32LE(4);
    // A recorder that lost power leaves 0 here.
    if (size === 0 || !/^[\w ]{4}$/.test(id)) return 0;
    const end = position + 8 + size;
    if (id === 'LIST' && kind === 'movi' && end > sizeBytes) return end - sizeBytes;
    // Files above 1 GB have several RIFF chunks. Their contents are followed one by one.
    position = id === 'RIFF' ? position + 12 : end + (size % 2);
  }
  return 0;
}

/** A tag has a header of 11 bytes and data; its length is repeated after it. */
async function missingInFlv({ read, sizeBytes }: SourceBytes): Promise<number> {
  const tagAt = async (position: number): Promise<number | undefined> => {
    const header = await read(position, 11);
    const isTag = header.length === 11 && [8, 9, 18].includes((header[0] ?? 0) & 0x1f);
    return isTag ? header.readUIntBE(1, 3) + 11 : undefined;
  };
  const tail = await read(Math.max(0, sizeBytes - 4), 4);
  const lastBytes = tail.length === 4 ? tail.readUInt32BE(0) : 0;
  if (lastBytes >= 11 && (await tagAt(sizeBytes - 4 - lastBytes)) === lastBytes) return 0;
  let position = 13;
  for (let count = 0; count < ELEMENTS_MAX && position < sizeBytes; count += 1) {
    const bytes = await tagAt(position);
    if (bytes === undefined) return 0;
    if (position + bytes > sizeBytes) return position + bytes - sizeBytes;
    position += bytes + 4;
  }
  return 0;
}

async function missingInOgg({ read, sizeBytes }: SourceBytes): Promise<number> {
  const start = Math.max(0, sizeBytes - OGG_TAIL_BYTES);
  const tail = await read(start, OGG_TAIL_BYTES);
  const page = tail.lastIndexOf('OggS\0', undefined, 'latin1');
  const segmentCount = tail[page + 26];
  if (page === -1) return 0;
  if (segmentCount === undefined || page + 27 + segmentCount > tail.length) return 1;
  const body = tail.subarray(page + 27, page + 27 + segmentCount).reduce((sum, bytes) => sum + bytes, 0);
  return Math.max(0, start + page + 27 + segmentCount + body - sizeBytes);
}

async function missingInAsf({ read, sizeBytes }: SourceBytes): Promise<number> {
  const header = await read(0, 24);
  const dataAt = header.length === 24 ? Number(header.readBigUInt64LE(16)) : 0;
  const data = await read(dataAt, 24);
  if (data.toString('hex', 0, 16) !== '3626b2758e66cf11a6d900aa0062ce6c') return 0;
  return Math.max(0, dataAt + Number(data.readBigUInt64LE(16)) - sizeBytes);
}

/** The header of a finished file holds the position of its footer. */
async function missingInMxf({ read, sizeBytes }: SourceBytes): Promise<number> {
  const pack = await read(0, 64);
  const length = pack[16] ?? 0;
  const valueAt = length < 0x80 ? 17 : 17 + (length & 0x7f);
  const isClosed = [2, 4].includes(pack[14] ?? 0);
  if (!isClosed || pack.length < valueAt + 32) return 0;
  return Math.max(0, Number(pack.readBigUInt64BE(valueAt + 24)) - sizeBytes);
}
