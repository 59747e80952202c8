/** Decoding and encoding that end early: aborted, because of invalid frames, or because ffmpeg fails. */
import { access } from 'node:fs/promises';

import { beforeAll, expect, test } from 'vitest';

import { decodeFrames } from '../../../producer/media/decode-frames.ts';
import { encodeVideo } from '../../../producer/media/encode-video.ts';
import type { Timeline } from '../../../producer/media/timeline.ts';
import { ffmpegCommand, startFfmpeg } from '../../../shared/media/ffmpeg.ts';
import { type VideoInfo, probeVideo } from '../../../shared/media/probe.ts';
import { H264, picture } from '../../support/media-clips.ts';
import { LIMITS, NO_TRACKS, each, useMediaFolder } from '../../support/media-round-trip.ts';
import { processesOf } from '../../support/processes.ts';

const { clip, at, decode } = useMediaFolder();
const encodeWith = { trackPlan: NO_TRACKS, cpuSecondsMax: 300 };

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

test('encodeVideo throws the abort reason while it waits for a frame, and leaves no file', async () => {
  const { sourcePath, video } = endless;
  const { frames } = await decode(await clip('short.mp4', [...picture({ seconds: 0.2 }), ...H264]));
  const stop = new AbortController();
  const waiting = Promise.withResolvers<void>();
  async function* stuck(): AsyncGenerator<Buffer> {
    yield* frames;
    waiting.resolve();
    await new Promise(() => {});
  }
  const timeline: Timeline = {
    timeBase: { numerator: 1, denominator: 25 },
    pts: Float64Array.from({ length: 50 }, (_, i) => i),
  };
  const outputPath = at('aborted.mkv');
  const encoding = encodeVideo({
    frames: stuck(),
    timeline,
    video,
    sourcePath,
    outputPath,
    width: 64,
    height: 48,
    ...encodeWith,
    signal: stop.signal,
  });
  await waiting.promise;
  stop.abort(new Error('the job was cancelled'));
  await expect(encoding).rejects.toThrow('the job was cancelled');
  await expect(access(outputPath)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('encodeVideo throws if the frames fail, are too few or too many, and leaves no file', async () => {
  const { frames, timeline, video } = await decode(await clip('ok.mp4', [...picture({}), ...H264]));
  const outputPath = at('failed.mp4');
  const attempt = (source: AsyncIterable<Buffer>) =>
    encodeVideo({
      frames: source,
      timeline,
      video,
      sourcePath: at('ok.mp4'),
      outputPath,
      width: 64,
      height: 48,
      ...encodeWith,
    });
  async function* failing(): AsyncGenerator<Buffer> {
    yield* frames.slice(0, 9);
    await Promise.resolve();
    throw new Error('frame 9 is lost');
  }
  await expect(attempt(failing())).rejects.toThrow('frame 9 is lost');
  await expect(attempt(each(frames.slice(1)))).rejects.toThrow('has 25 frames, but 24 were passed');
  await expect(attempt(each([...frames, ...frames]))).rejects.toThrow('has 25 frames, but more were passed');
  await expect(access(outputPath)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('the error of a failed ffmpeg is reported instead of the broken pipe', async () => {
  const { frames, timeline, video } = await decode(await clip('ok2.mp4', [...picture({}), ...H264]));
  const outputPath = at('no-such-folder/result.mp4');
  const request = {
    frames: each(frames),
    timeline,
    video,
    sourcePath: at('ok2.mp4'),
    outputPath,
    width: 64,
    height: 48,
    ...encodeWith,
  };
  await expect(encodeVideo(request)).rejects.toMatchObject({
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
