/** Files that are not videos, incomplete videos, and file names with special meaning to ffmpeg or a shell. */
import { copyFile, mkdir, readFile, symlink, truncate, writeFile } from 'node:fs/promises';

import { describe, expect, test } from 'vitest';

import { decodeFrames } from '../../../producer/media/decode-frames.ts';
import { joinVideo } from '../../../producer/media/join-video.ts';
import type { Timeline } from '../../../producer/media/timeline.ts';
import { DEFAULT_ENCODING } from '../../../shared/contract/encoding.ts';
import { checkLimits, countVideoPackets, probeVideo } from '../../../shared/media/probe.ts';
import { H264, ffmpeg, picture, tone } from '../../support/media-clips.ts';
import { LIMITS, NO_TRACKS, each, encodeSegments, useMediaFolder } from '../../support/media-round-trip.ts';

const { clip, at, decode } = useMediaFolder();

describe('a file name is never interpreted:', () => {
  test.for([
    '-a b "q" %d 名.mp4',
    'http:x.mp4',
    'concat:a|b.mp4',
    "it's $(here);[0:v],.mp4",
    'two\nlines.mp4',
  ])('%j', async (name) => {
    const plain = await clip('name.mp4', [...picture({ seconds: 0.2 }), ...tone({ seconds: 0.2 }), ...H264]);
    const sourcePath = at(name);
    await copyFile(plain, sourcePath);
    const video = await probeVideo(sourcePath);
    const frames = await Array.fromAsync(decodeFrames({ sourcePath, video, limits: LIMITS }));
    expect(frames).toHaveLength(5);
    const outputPath = at(`result ${name}`);
    const timeline: Timeline = {
      timeBase: { numerator: 1, denominator: 25 },
      pts: Float64Array.of(0, 1, 2, 3, 4),
    };
    const segments = await encodeSegments(video, frames, 5);
    await joinVideo({
      timeline,
      video,
      sourcePath,
      outputPath,
      trackPlan: NO_TRACKS,
      encoding: DEFAULT_ENCODING,
      cpuSecondsMax: 300,
      frameSize: video,
      segments: () => each(segments),
    });
    expect(await countVideoPackets(outputPath, await probeVideo(outputPath))).toBe(5);
  });
});

describe('probeVideo rejects the file with its name, the reason and a hint:', () => {
  const cases: Readonly<
    Record<string, { code: string; says: RegExp; make: (path: string) => Promise<unknown> }>
  > = {
    'missing.mp4': { code: 'SOURCE_MISSING', says: /there is no file/, make: () => Promise.resolve() },
    'folder.mp4': { code: 'SOURCE_UNREADABLE', says: /not a file/, make: (path) => mkdir(path) },
    'empty.mp4': { code: 'SOURCE_EMPTY', says: /0 bytes/, make: (path) => writeFile(path, '') },
    'text.mp4': {
      code: 'SOURCE_NOT_VIDEO',
      says: /is a text file/,
      make: (path) => writeFile(path, 'Hello, this is a note.\n'),
    },
    'noise.mp4': {
      code: 'SOURCE_NOT_VIDEO',
      says: /cannot|not a video/,
      make: (path) => writeFile(path, Buffer.alloc(5000, 0xc1)),
    },
    'playlist.mp4': {
      code: 'SOURCE_NOT_VIDEO',
      says: /playlist/,
      make: (path) =>
        writeFile(path, '#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n'),
    },
    'picture.mp4': {
      code: 'SOURCE_NOT_VIDEO',
      says: /is an image/,
      make: (path) => ffmpeg([...picture({}), '-frames:v', '1', '-f', 'image2', '-c:v', 'mjpeg', path]),
    },
    'sound.mp4': {
      code: 'SOURCE_NO_PICTURE',
      says: /no video track/,
      make: (path) => ffmpeg([...tone({}), path]),
    },
    'sound.wav': {
      code: 'SOURCE_NO_PICTURE',
      says: /is an audio file/,
      make: (path) => ffmpeg([...tone({}), path]),
    },
    'cut.mp4': {
      code: 'SOURCE_NOT_VIDEO',
      says: /index \(moov\) is missing/,
      make: async (path) => {
        await ffmpeg([...picture({}), ...H264, path]);
        await truncate(path, 2000);
      },
    },
  };

  test.for(Object.entries(cases))('%s', async ([name, { code, says, make }]) => {
    await make(at(name));
    const refusal = probeVideo(at(name));
    await expect(refusal).rejects.toMatchObject({
      code,
      message: expect.stringMatching(says),
      hint: expect.stringMatching(/\.$|\S$/),
    });
    await expect(refusal).rejects.toThrow(JSON.stringify(name));
  });

  test('a playlist that is disguised as binary data is not followed', async () => {
    // Because of the zero byte in a comment, the file does not count as text, but ffmpeg still detects a playlist.
    const hidden = '#EXTM3U\n#EXT-X-TARGETDURATION:1\n#\0\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n';
    await writeFile(at('hidden.mp4'), hidden);
    await expect(probeVideo(at('hidden.mp4'))).rejects.toMatchObject({
      code: 'SOURCE_NOT_VIDEO',
      cause: { message: expect.stringContaining('whitelist') },
    });
  });

  test('a link that points to itself cannot be opened', async () => {
    await symlink(at('round.mp4'), at('round.mp4'));
    await expect(probeVideo(at('round.mp4'))).rejects.toMatchObject({
      code: 'SOURCE_UNREADABLE',
      message: expect.stringContaining('Cannot read "round.mp4"'),
    });
  });

  test('a video that exceeds a limit is rejected', () => {
    const video = {
      width: 1920,
      height: 1080,
      durationSeconds: 61,
      framesPerSecond: 25,
      frameCountExpected: 1525,
    };
    const limits = { framesMax: 1525, durationSecondsMax: 60, pixelsMax: 1920 * 1080 };
    expect(() => checkLimits(video, limits)).toThrow(expect.objectContaining({ code: 'SOURCE_TOO_LARGE' }));
    expect(() => checkLimits({ ...video, durationSeconds: 60 }, limits)).not.toThrow();
    expect(() => checkLimits({ ...video, durationSeconds: undefined }, limits)).not.toThrow();
    expect(() => checkLimits({ ...video, durationSeconds: 1, height: 1081 }, limits)).toThrow(/1920 x 1081/);
    const many = { ...video, durationSeconds: 60, frameCountExpected: 1526 };
    expect(() => checkLimits(many, limits)).toThrow(/has 1526 frames; the limit is 1525/);
  });
});

describe('decoding rejects', () => {
  test('a file of two recordings with the same timestamps', async () => {
    const once = await readFile(await clip('once.ts', [...picture({}), ...H264]));
    await writeFile(at('two.ts'), Buffer.concat([once, once]));
    await expect(decode(at('two.ts'))).rejects.toMatchObject({
      code: 'SOURCE_NOT_VIDEO',
      message: expect.stringContaining('jump back'),
    });
  });

  test('a file in which no frame decodes', async () => {
    const sourcePath = await clip('nothing.mp4', [...picture({}), ...H264, '-movflags', '+faststart']);
    const bytes = await readFile(sourcePath);
    await writeFile(sourcePath, bytes.fill(0, bytes.indexOf('mdat') + 4));
    const video = await probeVideo(sourcePath);
    await expect(Array.fromAsync(decodeFrames({ sourcePath, video, limits: LIMITS }))).rejects.toMatchObject({
      code: 'SOURCE_NO_PICTURE',
    });
  });
});
