/** Which video track is scored, and how audio is handled that the container of the result cannot hold. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';

import { describe, expect, test } from 'vitest';

import { probeVideo } from '../../../shared/media/probe.ts';
import { H264, ffprobe, picture, soundPackets, tone } from '../../support/media-clips.ts';
import { useMediaFolder } from '../../support/media-round-trip.ts';

const { at, clip, roundTrip } = useMediaFolder();
const run = promisify(execFile);

describe('the track that a player shows is scored:', () => {
  const SMALL = picture({ size: '64x36' });
  const LARGE = picture({ size: '160x90' });
  /** One frame, larger than the video. */
  const STILL = picture({ size: '320x180', rate: '1' });
  const MJPEG_AND_H264 = '-map 0 -map 1 -c:v:0 mjpeg -c:v:1 libx264 -pix_fmt:v:1 yuv420p'.split(' ');
  const BOTH = ['-map', '0', '-map', '1', ...H264];

  test.for([
    ['the largest if none is the default', 'programmes.ts', [...SMALL, ...LARGE, ...BOTH], 160],
    [
      'the default even if it is smaller',
      'default.mkv',
      [...LARGE, ...SMALL, ...BOTH, '-disposition:v:0', '0', '-disposition:v:1', 'default'],
      64,
    ],
    [
      'the video, not the cover art before it',
      'cover.mp4',
      [
        ...STILL,
        ...SMALL,
        ...MJPEG_AND_H264,
        ...'-disposition:v:0 attached_pic -disposition:v:1 default'.split(' '),
      ],
      64,
    ],
    [
      'the video, not an unmarked still image before it',
      'still.mov',
      [...STILL, ...SMALL, ...MJPEG_AND_H264, ...'-disposition:v:0 default -disposition:v:1 0'.split(' ')],
      64,
    ],
  ] as const)('%s', async ([, name, args, width]) => {
    const video = await probeVideo(await clip(name, args));
    expect(video.width).toBe(width);
    expect(video.frameCountExpected).toBe(25);
  });
});

/** A hash of the audio samples as 32-bit floats, which represent all of them exactly. */
async function samplesOf(path: string): Promise<string> {
  const args = ['-v', 'error', '-i', path, '-map', '0:a:0', '-c:a', 'pcm_f32le', '-f', 'md5', '-'];
  return (await run('ffmpeg', args)).stdout;
}

describe('audio that the result cannot hold is converted losslessly:', () => {
  const STEREO = [...picture({}), ...tone({}), '-ac', '2'];
  test.for([
    [
      'Blu-ray PCM',
      'b.m2ts',
      [...H264, '-c:a', 'pcm_bluray', '-f', 'mpegts', '-mpegts_m2ts_mode', '1'],
      'pcm_s16le',
    ],
    ['PCM of a DVD', 'd.vob', [...H264, '-c:a', 'pcm_dvd', '-f', 'vob'], 'pcm_s16le'],
    ['Nellymoser', 'n.flv', ['-ac', '1', '-ar', '22050', '-c:v', 'flv1', '-c:a', 'nellymoser'], 'pcm_f32le'],
  ] as const)('%s', async ([, name, args, codec]) => {
    const sourcePath = await clip(name, [...STEREO, ...args]);
    const { resultPath, warnings } = await roundTrip(sourcePath);
    expect((await probeVideo(resultPath)).tracks[1]?.codec).toBe(codec);
    expect(await samplesOf(resultPath)).toBe(await samplesOf(sourcePath));
    expect(warnings).toEqual([expect.stringContaining(`is converted to ${codec} without loss`)]);
  });
});

describe('audio that the container of the result can hold is copied:', () => {
  test.for([
    ['TrueHD in .mp4', 'truehd.mp4', ['-c:a', 'truehd', '-strict', '-2'], 'mp4'],
    ['FLAC in .mp4', 'flac.mp4', ['-c:a', 'flac', '-strict', '-2'], 'mp4'],
    ['PCM in .mov', 'pcm.mov', ['-c:a', 'pcm_s24le'], 'mov'],
  ] as const)('%s', async ([, name, args, container]) => {
    const sourcePath = await clip(name, [...picture({}), ...tone({}), ...H264, ...args]);
    const { video, resultPath, warnings } = await roundTrip(sourcePath);
    expect(video.container).toBe(container);
    expect(await soundPackets(resultPath)).toEqual(await soundPackets(sourcePath));
    expect(warnings).toEqual([]);
  });
});

test('audio with a codec unknown to ffmpeg is omitted with a warning', async () => {
  const sourcePath = await clip('unknown.mkv', [
    ...picture({}),
    ...tone({}),
    ...tone({ hertz: 880 }),
    ...H264,
    ...'-map 0 -map 1 -map 2 -c:a:0 aac -c:a:1 mp2'.split(' '),
  ]);
  const bytes = (await readFile(sourcePath)).toString('latin1');
  await writeFile(at('patched.mkv'), Buffer.from(bytes.replace('A_MPEG/L2', 'A_APAC/X2'), 'latin1'));
  const { video, resultPath, warnings } = await roundTrip(at('patched.mkv'));
  expect(video.audioTrackCount).toBe(2);
  expect((await probeVideo(resultPath)).audioTrackCount).toBe(1);
  expect(warnings).toEqual([expect.stringContaining('Track 2 of the source (audio, unknown) is not copied')]);
});

test('audio that is declared but has no packets is omitted with a warning', async () => {
  const sourcePath = await clip('silent.mp4', [...picture({}), ...tone({}), ...H264, '-c:a', 'aac']);
  const bytes = (await readFile(sourcePath)).toString('latin1');
  const sizesOfSound = bytes.lastIndexOf('stsz');
  const patched = `${bytes.slice(0, sizesOfSound)}skip${bytes.slice(sizesOfSound + 4)}`;
  await writeFile(at('no-packets.mp4'), Buffer.from(patched, 'latin1'));
  const { video, resultPath, warnings } = await roundTrip(at('no-packets.mp4'));
  expect(video.audioTrackCount).toBe(1);
  expect((await probeVideo(resultPath)).audioTrackCount).toBe(0);
  expect(warnings.filter((warning) => warning.startsWith('Track 1 '))).toEqual([
    'Track 1 of the source (audio, aac) is not copied: the track is empty or damaged, or an .mp4 file cannot hold it.',
  ]);
});

test.for(['mp4', 'mkv'])(
  'a video track without a language has none in the result: .%s',
  async (extension) => {
    const { resultPath } = await roundTrip(await clip(`untagged.${extension}`, [...picture({}), ...H264]));
    expect((await probeVideo(resultPath)).tracks[0]?.language).toBeUndefined();
  },
);

test('an attachment without a name, which ffmpeg omits, does not fail the job', async () => {
  await writeFile(at('font.ttf'), 'not a font');
  const args = ['-attach', at('font.ttf'), '-metadata:s:t', 'mimetype=application/x-truetype-font'];
  const sourcePath = await clip('attached.mkv', [...picture({}), ...H264, ...args]);
  const bytes = (await readFile(sourcePath)).toString('latin1');
  // Replaces the file name element with a void element of the same length.
  const nameless = bytes.replace('\x46\x6e\x88font.ttf', '\xec\x89\x00font.ttf');
  await writeFile(at('nameless.mkv'), Buffer.from(nameless, 'latin1'));
  const { resultPath, warnings } = await roundTrip(at('nameless.mkv'));
  expect(
    ((await ffprobe(resultPath, ['-show_streams'])) as { streams: unknown[] }).streams.length,
  ).toBeGreaterThan(0);
  expect(warnings).toEqual([expect.stringContaining('incomplete attachment')]);
});
