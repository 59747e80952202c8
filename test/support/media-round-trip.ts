/**
 * A folder of clips for one test file, and the way there and back: decoded, then encoded by a model that changes nothing.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll } from 'vitest';

import { assertSameLength } from '../../producer/media/check-result.ts';
import { decodeFrames } from '../../producer/media/decode-frames.ts';
import { encodeVideo } from '../../producer/media/encode-video.ts';
import type { Timeline } from '../../producer/media/timeline.ts';
import { type VideoInfo, probeVideo } from '../../shared/media/probe.ts';
import { ffmpeg } from './media-clips.ts';

export interface Decoded {
  readonly video: VideoInfo;
  readonly frames: readonly Buffer[];
  readonly timeline: Timeline;
}

export interface RoundTrip extends Decoded {
  readonly resultPath: string;
  readonly warnings: readonly string[];
}

/** To be called once, at the top of a test file. The folder is there while its tests run. */
export function useMediaFolder() {
  let folder = '';
  let results = 0;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'media-test-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const at = (name: string): string => join(folder, name);
  const workDir = (): Promise<string> => mkdtemp(join(folder, 'work-'));

  /** Runs ffmpeg with these arguments and the new file's path behind them. */
  async function clip(name: string, args: readonly string[]): Promise<string> {
    await ffmpeg([...args, at(name)]);
    return at(name);
  }

  async function decode(sourcePath: string): Promise<Decoded> {
    const video = await probeVideo(sourcePath);
    const decoding = decodeFrames({ sourcePath, video, workDir: await workDir() });
    const frames: Buffer[] = [];
    for (;;) {
      const { done, value } = await decoding.next();
      if (done === true) return { video, frames, timeline: value };
      frames.push(value);
    }
  }

  /** Checked by our own `assertSameLength` on the way. */
  async function roundTrip(sourcePath: string): Promise<RoundTrip> {
    const { video, timeline, frames } = await decode(sourcePath);
    results += 1;
    const resultPath = at(`result-${results}.${video.container}`);
    const { width, height } = video;
    const request = { timeline, video, sourcePath, outputPath: resultPath, width, height };
    const { warnings } = await encodeVideo({ ...request, frames: each(frames) });
    await assertSameLength({ resultPath, timeline, video });
    return { video, timeline, frames, resultPath, warnings };
  }

  return { at, workDir, clip, decode, roundTrip };
}

export async function* each(frames: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* frames;
  await Promise.resolve();
}
