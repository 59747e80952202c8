/**
 * PURE. Joins encoded segments to one video track with the exact timestamps of the source: a fragmented MP4, to be read by ffmpeg from
 * a pipe and copied into the result.
 *
 * Frame i gets timestamp i of the timeline. Decoding timestamps are those of the timeline too, `reorderDepth` frames earlier, so they
 * increase over the whole video for any frame rate and any reordering by the encoder. The format has no negative timestamps, so all of them
 * are `leadSeconds` later than in the timeline; ffmpeg's `-itsoffset` reverses that.
 */
import { boxesOf, makeBox } from './mp4-boxes.ts';
import type { SegmentSamples } from './segment-samples.ts';
import type { Timeline } from './timeline.ts';

/** `trun` with data offset, and duration, size, flags and composition offset of each sample. */
const TRUN_FLAGS = 0xf01;
/** The sample depends on no other one. */
const KEY_FRAME_FLAGS = 0x0200_0000;
const OTHER_FRAME_FLAGS = 0x0101_0000;
const BOX_HEADER_BYTES = 8;
const DEFAULT_BASE_IS_MOOF = 0x02_0000;

/** An encoder shows a frame this many frames later than it decodes it, at most. */
export function reorderDepthOf({ samples }: SegmentSamples): number {
  return samples.reduce((depth, { displayIndex }, index) => Math.max(depth, index - displayIndex), 0);
}

export interface JoinedTrack {
  readonly timeline: Timeline;
  /** At least that of every segment. */
  readonly reorderDepth: number;
  /** The duration of the last frame, in ticks of the timeline. */
  readonly lastFrameTicks: number;
}

export class VideoJoiner {
  readonly #track: JoinedTrack;
  /** How much later all timestamps are, in whole seconds. */
  readonly leadSeconds: number;
  #sequence = 0;
  /** Those that a decoder knows at this point of the track. */
  #parameterSets: Buffer = Buffer.alloc(0);
  /** Whether segments were made by encoders of different builds or settings. */
  isMixed = false;

  constructor(track: JoinedTrack) {
    this.#track = track;
    const { numerator, denominator } = track.timeline.timeBase;
    const firstSeconds = (this.#decodedAt(0) * numerator) / denominator;
    this.leadSeconds = Math.max(0, Math.ceil(-firstSeconds));
  }

  /** Before the first segment: the header of a segment, with the time scale of the timeline. */
  header({ header, parameterSets }: SegmentSamples): Buffer {
    this.#parameterSets = parameterSets;
    const copy = Buffer.from(header);
    const mdhd = descend(copy, ['moov', 'trak', 'mdia', 'mdhd']);
    // Version 0 has times of four bytes before the scale, version 1 of eight.
    mdhd.writeUInt32BE(this.#track.timeline.timeBase.denominator, mdhd[0] === 1 ? 20 : 12);
    return copy;
  }

  /** The segment whose first frame is `frameStart`, in parts to write one after the other. Throws RangeError. */
  segment(frameStart: number, { samples, parameterSets }: SegmentSamples): readonly Buffer[] {
    const { timeline, reorderDepth } = this.#track;
    if (frameStart + samples.length > timeline.pts.length)
      throw new RangeError(
        `expected ${timeline.pts.length} frames, received at least ${frameStart + samples.length}`,
      );
    const { numerator } = timeline.timeBase;
    const before = this.#changeParameterSets(parameterSets);
    const entries = samples.map(({ data, displayIndex, isKeyFrame }, index) => {
      const decodedAt = this.#decodedAt(frameStart + index);
      const composition = (this.#presentedAt(frameStart + displayIndex) - decodedAt) * numerator;
      if (composition < 0) throw new RangeError(`expected a reorder depth of at most ${reorderDepth}`);
      const duration = (this.#decodedAt(frameStart + index + 1) - decodedAt) * numerator;
      const size = data.length + (index === 0 ? before.length : 0);
      return [duration, size, isKeyFrame ? KEY_FRAME_FLAGS : OTHER_FRAME_FLAGS, composition];
    });
    const payloadBytes = samples.reduce((sum, { data }) => sum + data.length, before.length);
    this.#sequence += 1;
    const moofOf = (dataOffset: number): Buffer =>
      makeBox('moof', [
        fullBox('mfhd', 0, 0, [uint32(this.#sequence)]),
        makeBox('traf', [
          fullBox('tfhd', 0, DEFAULT_BASE_IS_MOOF, [uint32(1)]),
          fullBox('tfdt', 1, 0, [this.#baseTime(frameStart)]),
          fullBox('trun', 1, TRUN_FLAGS, [samples.length, dataOffset, ...entries.flat()].map(uint32)),
        ]),
      ]);
    // The offset of the data counts from the start of the moof, and the header of the mdat follows the moof.
    const moof = moofOf(moofOf(0).length + BOX_HEADER_BYTES);
    const mdatHeader = Buffer.concat([uint32(payloadBytes + BOX_HEADER_BYTES), Buffer.from('mdat')]);
    return [moof, mdatHeader, before, ...samples.map(({ data }) => data)];
  }

  /** What a decoder must read before a segment whose encoder has other parameter sets than the one before. */
  #changeParameterSets(sets: Buffer): Buffer {
    if (sets.equals(this.#parameterSets)) return Buffer.alloc(0);
    this.#parameterSets = sets;
    this.isMixed = true;
    return sets;
  }

  #baseTime(frameStart: number): Buffer {
    const { numerator, denominator } = this.#track.timeline.timeBase;
    const time = Buffer.alloc(8);
    time.writeBigUInt64BE(BigInt(this.#decodedAt(frameStart) * numerator + this.leadSeconds * denominator));
    return time;
  }

  /** In ticks of the timeline. After the last frame: its end. */
  #presentedAt(frameIndex: number): number {
    const { pts } = this.#track.timeline;
    const last = pts.at(-1) ?? 0;
    return pts[frameIndex] ?? last + (frameIndex - pts.length + 1) * this.#track.lastFrameTicks;
  }

  /** Of the sample that is the n-th in decoding order. Before the first frame, in steps of the first gap. */
  #decodedAt(sampleIndex: number): number {
    const frameIndex = sampleIndex - this.#track.reorderDepth;
    if (frameIndex >= 0) return this.#presentedAt(frameIndex);
    const gap = Math.max(1, this.#presentedAt(1) - this.#presentedAt(0));
    return this.#presentedAt(0) + frameIndex * gap;
  }
}

function descend(bytes: Buffer, path: readonly string[]): Buffer {
  return path.reduce((body, type) => {
    const found = boxesOf(body).find((one) => one.type === type);
    if (found === undefined) throw new RangeError(`expected a ${type} box in the header of a segment`);
    return found.body;
  }, bytes);
}

function fullBox(type: string, version: number, flags: number, parts: readonly Buffer[]): Buffer {
  return makeBox(type, [uint32(version * 2 ** 24 + flags), ...parts]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
