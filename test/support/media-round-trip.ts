/** A folder of clips for a single test file, and a round trip: decode a clip, then encode its unchanged frames. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll } from 'vitest';

import { assertSameLength } from '../../producer/media/check-result.ts';
import { type DecodeLimits, decodeFrames } from '../../producer/media/decode-frames.ts';
import { encodeVideo } from '../../producer/media/encode-video.ts';
import type { Timeline } from '../../producer/media/timeline.ts';
import { workableTracks } from '../../producer/media/try-tracks.ts';
import { type VideoInfo, probeVideo } from '../../shared/media/probe.ts';
import { ffmpeg } from './media-clips.ts';

/** For clips of a few seconds. The time limits allow for a machine under load. */
export const LIMITS: DecodeLimits = {
  framesMax: 100_000,
  durationSecondsMax: 10_000,
  wallSecondsMax: 300,
  cpuSecondsMax: 300,
};

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
    folder = await mkdtemp(join(tmpdir(), 'media-test-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const at = (name: string): string => join(folder, name);

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

  /** Also checks the result with `assertSameLength`. */
  async function roundTrip(sourcePath: string): Promise<RoundTrip> {
    const { video, timeline, frames } = await decode(sourcePath);
    results += 1;
    const resultPath = at(`result-${results}.${video.container}`);
    const { width, height } = video;
    const trackPlan = await workableTracks({ sourcePath, video, folder });
    const request = { timeline, video, sourcePath, outputPath: resultPath, width, height, trackPlan };
    const { warnings } = await encodeVideo({ ...request, frames: each(frames), cpuSecondsMax: 300 });
    const audioTrackCount = trackPlan.tracks.filter(({ track }) => track.kind === 'audio').length;
    await assertSameLength(resultPath, { timeline, framesPerSecond: video.framesPerSecond, audioTrackCount });
    return { video, timeline, frames, resultPath, warnings };
  }

  return { at, clip, decode, roundTrip };
}

export async function* each(frames: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* frames;
  await Promise.resolve();
}
