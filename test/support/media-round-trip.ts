/** A folder of clips for a single test file, and a round trip: decode a clip, then make a result of its unchanged frames. */
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll } from 'vitest';

import { ResultUpload } from '../../producer/jobs/result-upload.ts';
import { checkResult } from '../../producer/media/check-result.ts';
import { type DecodeLimits, decodeFrames } from '../../producer/media/decode-frames.ts';
import { joinVideo } from '../../producer/media/join-video.ts';
import type { Timeline } from '../../producer/media/timeline.ts';
import { workableTracks } from '../../producer/media/try-tracks.ts';
import type { BlockUpload } from '../../shared/azure/block-upload.ts';
import { DEFAULT_ENCODING, type Encoding, type ResultContainer } from '../../shared/contract/encoding.ts';
import type { PieceFormat } from '../../shared/contract/piece.ts';
import { decodedColourOf, resultColourOf } from '../../shared/media/colour.ts';
import { type VideoInfo, probeVideo } from '../../shared/media/probe.ts';
import { SegmentEncoder } from '../../worker/engine/segment-encoder.ts';
import { decodeJpeg } from './decode-jpeg.ts';
import { ffmpeg } from './media-clips.ts';

/** For clips of a few seconds. The time limits allow for a machine under load. */
export const LIMITS: DecodeLimits = {
  framesMax: 100_000,
  durationSecondsMax: 10_000,
  wallSecondsMax: 300,
  cpuSecondsMax: 300,
};

/** Several in a short clip. */
const SEGMENT_FRAMES = 16;

/** A plan that copies no tracks besides the picture. */
export const NO_TRACKS = { tracks: [], warnings: [], corrections: new Map<number, string>() };

export interface DecodedClip {
  readonly video: VideoInfo;
  readonly frames: readonly Buffer[];
  readonly timeline: Timeline;
}

export interface RoundTrip extends DecodedClip {
  readonly resultPath: string;
  readonly warnings: readonly string[];
}

/** Call this once at the top of a test file. The folder exists while its tests run. */
export function useMediaFolder() {
  let folder = '';
  let results = 0;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'media-test-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const at = (name: string): string => path.join(folder, name);

  /** Runs ffmpeg with these arguments, followed by the path of the new file. */
  async function clip(name: string, args: readonly string[]): Promise<string> {
    await ffmpeg([...args, at(name)]);
    return at(name);
  }

  async function decode(sourcePath: string): Promise<DecodedClip> {
    const video = await probeVideo(sourcePath);
    const decoding = decodeFrames({ sourcePath, video, limits: LIMITS });
    const frames: Buffer[] = [];
    for (;;) {
      const { done, value } = await decoding.next();
      if (done === true) return { video, frames, timeline: value };
      frames.push(value);
    }
  }

  /** Also checks the result. The segments are encoded with each of the encodings in turn. */
  async function roundTrip(
    sourcePath: string,
    encodings: readonly [Encoding, ...Encoding[]] = [DEFAULT_ENCODING],
    container?: ResultContainer,
  ): Promise<RoundTrip> {
    const { video: probed, timeline, frames } = await decode(sourcePath);
    const video = { ...probed, container: container ?? probed.container };
    results += 1;
    const outputPath = at(`result-${results}.${video.container}`);
    const { width, height } = video;
    const trackPlan = await workableTracks({ sourcePath, video, folder });
    const [encoding] = encodings;
    const request = { timeline, video, sourcePath, outputPath, trackPlan, encoding, cpuSecondsMax: 300 };
    const segments = await encodeSegments(video, frames, SEGMENT_FRAMES, SEGMENT_FRAMES, encodings);
    const frameSize = { width, height };
    const resultPath = at(`stored-${results}.${video.container}`);
    await using upload = new ResultUpload(outputPath, fileOfBlocks(resultPath));
    const joined = { ...request, frameSize, segments: () => upload.behind(each(segments)) };
    const { warnings } = await joinVideo(joined);
    await upload.finish(video.container);
    const audioTrackCount = trackPlan.tracks.filter(({ track }) => track.kind === 'audio').length;
    const { framesPerSecond } = video;
    const expected = { timeline, framesPerSecond, audioTrackCount };
    const checked = await checkResult(createReadStream(resultPath), expected);
    return { video, timeline, frames, resultPath, warnings: [...warnings, ...checked.warnings] };
  }

  return { at, clip, decode, roundTrip };
}

/** Stores a blob's blocks as one file. */
export function fileOfBlocks(blobPath: string): BlockUpload {
  const blocks = new Map<string, Uint8Array>();
  return {
    putBlock: (bytes) => {
      const id = String(blocks.size);
      blocks.set(id, bytes);
      return Promise.resolve(id);
    },
    commit: (ids) => writeFile(blobPath, Buffer.concat(ids.map((id) => blocks.get(id) ?? Buffer.alloc(0)))),
  };
}

/** The format of the pieces of a source that is cut. */
export async function pieceFormatOf(sourcePath: string): Promise<PieceFormat> {
  const video = await probeVideo(sourcePath);
  const { codec, width, height } = video;
  return { container: 'nut', codec, width, height, colour: decodedColourOf(video) };
}

/** Encodes frames as a worker does, in segments of this many frames; the first one can have another length. */
export async function encodeSegments(
  video: VideoInfo,
  frames: readonly Buffer[],
  segmentFrames: number,
  firstFrames = segmentFrames,
  encodings: readonly [Encoding, ...Encoding[]] = [DEFAULT_ENCODING],
): Promise<Buffer[]> {
  const picture = {
    framesPerSecond: video.framesPerSecond,
    sampleAspectRatio: video.sampleAspectRatio,
    colour: resultColourOf(video),
  };
  const segments: Buffer[] = [];
  for (let start = 0, end = firstFrames; start < frames.length; [start, end] = [end, end + segmentFrames]) {
    const pictures = await Promise.all(frames.slice(start, end).map(decodeJpeg));
    const { width = 0, height = 0 } = pictures[0] ?? {};
    const encoding = encodings[segments.length % encodings.length] ?? DEFAULT_ENCODING;
    await using encoder = new SegmentEncoder(
      { width, height, picture, encoding },
      new AbortController().signal,
    );
    for (const { pixels } of pictures) await encoder.write(pixels);
    segments.push(await encoder.finish());
  }
  return segments;
}

export async function* each(frames: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* frames;
  await Promise.resolve();
}
