/**
 * PURE. A minimal Matroska writer that passes JPEGs with exact timestamps to ffmpeg through a pipe.
 *
 * One V_MJPEG track with nanosecond ticks (ffmpeg's muxer supports only milliseconds), and one cluster per frame. Only cluster
 * sizes are known in advance. Element ids: RFC 9559; sizes and integers: RFC 8794.
 */
const ID = {
  ebml: 0x1a45dfa3,
  docType: 0x4282,
  docTypeVersion: 0x4287,
  docTypeReadVersion: 0x4285,
  segment: 0x18538067,
  info: 0x1549a966,
  timestampScale: 0x2ad7b1,
  muxingApp: 0x4d80,
  writingApp: 0x5741,
  tracks: 0x1654ae6b,
  trackEntry: 0xae,
  trackNumber: 0xd7,
  trackUid: 0x73c5,
  trackType: 0x83,
  defaultDuration: 0x23e383,
  flagLacing: 0x9c,
  codecId: 0x86,
  video: 0xe0,
  pixelWidth: 0xb0,
  pixelHeight: 0xba,
  cluster: 0x1f43b675,
  timestamp: 0xe7,
  simpleBlock: 0xa3,
} as const;

const UNKNOWN_SIZE = Buffer.from('01ffffffffffffff', 'hex');
/** Track 1 as a vint, timestamp 0 relative to the cluster, key frame. */
const BLOCK_HEADER = Buffer.from('81000080', 'hex');
const APPLICATION = Buffer.from('framefleet');

export interface MatroskaTrack {
  /** In pixels. */
  readonly width: number;
  readonly height: number;
  /** The typical frame duration. Sets the encoder's rate (for the H.264 level) and the duration of the last frame. */
  readonly frameNanoseconds: number;
}

/** The bytes before the first frame. */
export function matroskaHeader({ width, height, frameNanoseconds }: MatroskaTrack): Buffer {
  return Buffer.concat([
    element(ID.ebml, [
      element(ID.docType, [Buffer.from('matroska')]),
      element(ID.docTypeVersion, [integer(4)]),
      element(ID.docTypeReadVersion, [integer(2)]),
    ]),
    id(ID.segment),
    UNKNOWN_SIZE,
    element(ID.info, [
      element(ID.timestampScale, [integer(1)]),
      element(ID.muxingApp, [APPLICATION]),
      element(ID.writingApp, [APPLICATION]),
    ]),
    element(ID.tracks, [
      element(ID.trackEntry, [
        element(ID.trackNumber, [integer(1)]),
        element(ID.trackUid, [integer(1)]),
        element(ID.trackType, [integer(1)]),
        element(ID.defaultDuration, [integer(Math.max(1, Math.round(frameNanoseconds)))]),
        element(ID.flagLacing, [integer(0)]),
        element(ID.codecId, [Buffer.from('V_MJPEG')]),
        element(ID.video, [
          element(ID.pixelWidth, [integer(width)]),
          element(ID.pixelHeight, [integer(height)]),
        ]),
      ]),
    ]),
  ]);
}

/** Returns the bytes to write before the JPEG, and the JPEG itself without copying it. Throws RangeError below zero. */
export function matroskaFrame(timestampNanoseconds: bigint, jpeg: Uint8Array): readonly Uint8Array[] {
  if (timestampNanoseconds < 0n)
    throw new RangeError(`expected a timestamp of at least 0, received ${timestampNanoseconds}`);
  const timestamp = element(ID.timestamp, [integer(timestampNanoseconds)]);
  const blockBytes = BLOCK_HEADER.length + jpeg.byteLength;
  const block = [id(ID.simpleBlock), size(blockBytes), BLOCK_HEADER];
  const clusterBytes = timestamp.length + byteLength(block) + jpeg.byteLength;
  return [Buffer.concat([id(ID.cluster), size(clusterBytes), timestamp, ...block]), jpeg];
}

function element(elementId: number, content: readonly Buffer[]): Buffer {
  return Buffer.concat([id(elementId), size(byteLength(content)), ...content]);
}

/** An id includes its own length marker, so its bytes are written unchanged. */
function id(elementId: number): Buffer {
  return integer(elementId);
}

/** Always eight bytes: a one bit, then 56 bits of size. Shorter encodings are not worth it in a pipe. */
function size(bytes: number): Buffer {
  const vint = Buffer.alloc(8);
  vint.writeBigUInt64BE((1n << 56n) | BigInt(bytes));
  return vint;
}

/** Unsigned, in the fewest bytes possible, at least one. */
function integer(value: number | bigint): Buffer {
  const digits = value.toString(16);
  return Buffer.from(digits.padStart(digits.length + (digits.length % 2), '0'), 'hex');
}

function byteLength(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.byteLength, 0);
}
