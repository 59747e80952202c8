/** Decoding and joining that end early: aborted, because of invalid segments, or because ffmpeg fails. */
import { once } from 'node:events';
import { access } from 'node:fs/promises';

import { beforeAll, expect, test } from 'vitest';

import { decodeFrames } from '../../../producer/media/decode-frames.ts';
import { type JoinRequest, joinVideo } from '../../../producer/media/join-video.ts';
import { DEFAULT_ENCODING } from '../../../shared/contract/encoding.ts';
import { ffmpegCommand, startFfmpeg } from '../../../shared/media/ffmpeg.ts';
import { type VideoInfo, probeVideo } from '../../../shared/media/probe.ts';
import { H264, picture } from '../../support/media-clips.ts';
import { LIMITS, NO_TRACKS, each, encodeSegments, useMediaFolder } from '../../support/media-round-trip.ts';
import { processesOf } from '../../support/processes.ts';

const { clip, at, decode } = useMediaFolder();

/** Too long to finish before the test ends. */
let endless: { readonly sourcePath: string; readonly video: VideoInfo };
beforeAll(async () => {
  const args = [...picture({ seconds: 60, size: '320x240' }), '-c:v', 'mpeg4', '-q:v', '8'];
  const sourcePath = await clip('endless.mkv', args);
  endless = { sourcePath, video: await probeVideo(sourcePath) };
});

test('leaving the iteration stops ffmpeg', async () => {
  for await (const jpeg of decodeFrames({ ...endless, limits: LIMITS })) {
    expect(jpeg.subarray(0, 2).toString('hex')).toBe('ffd8');
    break;
  }
  expect(await processesOf(endless.sourcePath)).toEqual([]);
});

test('decodeFrames throws the abort reason', async () => {
  const stop = new AbortController();
  const reason = new Error('the job was cancelled');
  const decoding = decodeFrames({ ...endless, limits: LIMITS, signal: stop.signal });
  await decoding.next();
  stop.abort(reason);
  await expect(Array.fromAsync(decoding)).rejects.toBe(reason);
});

/** A clip of 25 frames and what is needed to join its segments: 9 frames, 9 and 7. */
async function joinable(name: string): Promise<{
  readonly segments: readonly Buffer[];
  readonly join: (
    changes: Partial<JoinRequest> & Pick<JoinRequest, 'outputPath' | 'segments'>,
  ) => Promise<unknown>;
}> {
  const sourcePath = await clip(name, [...picture({}), ...H264]);
  const { frames, timeline, video } = await decode(sourcePath);
  const segments = await encodeSegments(video, frames, 9);
  const request = { timeline, video, sourcePath, frameSize: video };
  const fixed = { trackPlan: NO_TRACKS, encoding: DEFAULT_ENCODING, cpuSecondsMax: 300 };
  return { segments, join: (changes) => joinVideo({ ...request, ...fixed, ...changes }) };
}

test('joinVideo throws the abort reason while it waits for a segment, and leaves no file', async () => {
  const { segments, join } = await joinable('short.mkv');
  const stop = new AbortController();
  const waiting = Promise.withResolvers<void>();
  async function* stuck(): AsyncGenerator<Buffer> {
    yield* segments.slice(0, 2);
    waiting.resolve();
    // As a fetch does.
    await once(stop.signal, 'abort');
    stop.signal.throwIfAborted();
  }
  const outputPath = at('aborted.mkv');
  const joining = join({ outputPath, segments: stuck, signal: stop.signal });
  await waiting.promise;
  stop.abort(new Error('the job was cancelled'));
  await expect(joining).rejects.toThrow('the job was cancelled');
  await expect(access(outputPath)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('joinVideo throws if a segment cannot be had or read, or there are too few or too many, and leaves no file', async () => {
  const { segments, join } = await joinable('ok.mp4');
  const outputPath = at('failed.mp4');
  const attempt = (source: () => AsyncIterable<Buffer>) => join({ outputPath, segments: source });
  async function* failing(): AsyncGenerator<Buffer> {
    yield* segments.slice(0, 1);
    await Promise.resolve();
    throw new Error('segment 1 is lost');
  }
  await expect(attempt(failing)).rejects.toThrow('segment 1 is lost');
  const damaged = segments.with(1, Buffer.from('this is not a segment'));
  await expect(attempt(() => each(damaged))).rejects.toThrow(RangeError);
  await expect(attempt(() => each([]))).rejects.toThrow('has 25 frames, but the segments have no frames');
  await expect(attempt(() => each(segments.slice(1)))).rejects.toThrow(
    'has 25 frames, but the segments have 16',
  );
  await expect(attempt(() => each([...segments, ...segments]))).rejects.toThrow(
    'has 25 frames, but the segments have more',
  );
  await expect(access(outputPath)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('the error of a failed ffmpeg is reported instead of the broken pipe', async () => {
  const { segments, join } = await joinable('ok2.mp4');
  const outputPath = at('no-such-folder/result.mp4');
  await expect(join({ outputPath, segments: () => each(segments) })).rejects.toMatchObject({
    code: 'MEDIA_TOOL_FAILED',
    message: expect.stringContaining('No such file or directory'),
  });
});

test('a missing ffmpeg is reported by name', async () => {
  const { finished } = startFfmpeg({
    command: ffmpegCommand().input('x'),
    program: 'ffmpeg-that-is-not-there',
    activity: 'testing',
    stdin: 'none',
    stdout: 'none',
    limits: { cpuSecondsMax: 10 },
  });
  await expect(finished).rejects.toMatchObject({
    code: 'PROGRAM_MISSING',
    message: expect.stringContaining('ffmpeg-that-is-not-there'),
    hint: 'Install it: apt-get install ffmpeg',
  });
});
