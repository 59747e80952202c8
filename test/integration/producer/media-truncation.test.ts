/** Files with missing media data are rejected before decoding. Every other file that plain ffmpeg decodes is accepted. */
import { open, readFile, truncate, writeFile } from 'node:fs/promises';

import { describe, expect, test } from 'vitest';

import { probeVideo } from '../../../shared/media/probe.ts';
import { H264, picture, pictureTimes, tone } from '../../support/media-clips.ts';
import { useMediaFolder } from '../../support/media-round-trip.ts';

const { clip, decode, roundTrip } = useMediaFolder();

const FOUR_SECONDS = picture({ seconds: 4, size: '160x120' });
const SOUND = tone({ seconds: 4 });

async function sizeOf(path: string): Promise<number> {
  await using file = await open(path);
  return (await file.stat()).size;
}

describe('a file with missing media data is rejected:', () => {
  test.for([
    ['fast.mp4', [...H264, '-movflags', '+faststart']],
    ['fragments.mp4', [...H264, '-g', '25', '-movflags', 'frag_keyframe+empty_moov']],
    ['cut.mov', [...H264, '-movflags', '+faststart']],
    ['cut.mkv', [...H264, '-g', '10']],
    ['cut.webm', ['-c:v', 'libvpx', '-b:v', '300k', '-deadline', 'realtime', '-cpu-used', '8']],
    ['cut.avi', ['-c:v', 'mpeg4']],
    ['cut.flv', ['-c:v', 'flv1']],
    ['cut.wmv', ['-c:v', 'wmv2']],
    ['cut.ogv', ['-c:v', 'libtheora']],
    ['cut.mxf', ['-c:v', 'mpeg2video', '-g', '12', '-bf', '0']],
  ] as const)('%s', async ([name, options]) => {
    const sourcePath = await clip(name, [...FOUR_SECONDS, ...options]);
    const whole = await decode(sourcePath);
    expect(whole.frames).toHaveLength(100);
    const size = await sizeOf(sourcePath);
    for (const share of [0.9, 0.5]) {
      await truncate(sourcePath, Math.floor(size * share));
      await expect(probeVideo(sourcePath)).rejects.toMatchObject({
        code: 'SOURCE_TRUNCATED',
        message: expect.stringMatching(/is truncated: at least \d+ bytes of its media data are missing/),
        hint: expect.stringContaining('Copy or download it again'),
      });
    }
  });

  test('a file with a large zeroed part is rejected once that part fails to decode', async () => {
    const sourcePath = await clip('zeros.mp4', [
      ...FOUR_SECONDS,
      ...H264,
      '-g',
      '10',
      '-movflags',
      '+faststart',
    ]);
    const bytes = await readFile(sourcePath);
    await writeFile(sourcePath, bytes.fill(0, Math.floor(bytes.length / 2)));
    await expect(decode(sourcePath)).rejects.toMatchObject({
      code: 'SOURCE_TRUNCATED',
      message: expect.stringMatching(/only \d+ of its 100 frames could be decoded/),
    });
  });
});

describe('a file with only the index or the tags missing is decoded completely:', () => {
  test.for([
    ['index.mkv', '1c53bb6b'],
    ['index.avi', Buffer.from('idx1').toString('hex')],
  ] as const)('%s', async ([name, marker]) => {
    const codec = name.endsWith('avi') ? ['-c:v', 'mpeg4'] : H264;
    const sourcePath = await clip(name, [...FOUR_SECONDS, ...codec]);
    const bytes = await readFile(sourcePath);
    const index = bytes.lastIndexOf(marker, undefined, 'hex');
    expect(index).toBeGreaterThan(bytes.length / 2);
    await truncate(sourcePath, index + 6);
    expect((await decode(sourcePath)).frames).toHaveLength(100);
  });
});

describe('a valid file gives the frames that plain ffmpeg decodes:', () => {
  test.for([
    // A capture with dropped frames, stored as null chunks.
    [
      'null-frames.avi',
      ['-vf', "select='not(eq(mod(n,10),7)+eq(mod(n,10),8))'", '-fps_mode', 'passthrough', '-c:v', 'ffvhuff'],
      80,
    ],
    // Two frames in one packet, followed by an empty packet.
    ['packed.avi', ['-c:v', 'libxvid', '-bf', '2', '-q:v', '2'], 98],
    ['still-long.mkv', ['-t', '1.2', ...H264], 30],
  ] as const)('%s', async ([name, options, frameCount]) => {
    const sourcePath = await clip(name, [...FOUR_SECONDS, ...options]);
    const { frames } = await roundTrip(sourcePath);
    expect(frames).toHaveLength(frameCount);
    expect(frames).toHaveLength((await pictureTimes(sourcePath)).seconds.length);
  });

  test.for(['short.mkv', 'short.flv', 'short.ts', 'short.avi'])(
    'a video track that ends before its audio: %s',
    async (name) => {
      const codecs = name.endsWith('flv')
        ? ['-c:v', 'flv1', '-ar', '44100', '-c:a', 'mp3']
        : [...H264, '-c:a', 'mp2'];
      const sourcePath = await clip(name, [...picture({ seconds: 1 }), ...SOUND, ...codecs]);
      // Without the tags that state the duration of each track.
      const bytes = await readFile(sourcePath);
      const untagged = Buffer.from(bytes.toString('latin1').replaceAll('DURATION', 'DURATIOM'), 'latin1');
      await writeFile(sourcePath, untagged);
      expect((await roundTrip(sourcePath)).frames).toHaveLength(25);
    },
  );

  test('frames that the edit list of a stream-copied cut hides stay hidden', async () => {
    const whole = await clip('whole.mp4', [
      ...picture({ seconds: 6 }),
      ...tone({ seconds: 6 }),
      ...H264,
      '-g',
      '50',
    ]);
    for (const [start, length] of [
      [1.1, 2],
      [2.3, 2],
      [3.33, 1.5],
    ] as const) {
      const cut = ['-ss', String(start), '-i', whole, '-t', String(length), '-c', 'copy'];
      const sourcePath = await clip('cut-copy.mp4', cut);
      const shown = (await pictureTimes(sourcePath)).seconds;
      const { frames, resultPath } = await roundTrip(sourcePath);
      expect(frames.length).toBe(shown.length);
      expect((await pictureTimes(resultPath)).seconds).toHaveLength(shown.length);
    }
  });
});

test('no hint suggests a stream copy, which would reveal frames that an edit list hides', async () => {
  const sources = ['shared/media/probe.ts', 'shared/media/source-refusals.ts', 'shared/media/ffprobe.ts'];
  sources.push('producer/media/decode-frames.ts', 'producer/jobs/split.ts', 'shared/media/tool-process.ts');
  const hints = await Promise.all(sources.map((file) => readFile(file, 'utf8')));
  expect(hints.join('\n')).toContain('-c:v libx264');
  expect(hints.join('\n')).not.toMatch(/-c copy|-c:v copy/);
});
