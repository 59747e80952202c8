/** Colours, sizes and rotation through the real ffmpeg: the result must look like the source. */
import { readFile } from 'node:fs/promises';

import { describe, expect, test } from 'vitest';

import { joinVideo } from '../../../producer/media/join-video.ts';
import { DEFAULT_ENCODING } from '../../../shared/contract/encoding.ts';
import { probeVideo } from '../../../shared/media/probe.ts';
import { H264, ffmpeg, meanColour, picture, pictureTimes } from '../../support/media-clips.ts';
import { NO_TRACKS, each, encodeSegments, useMediaFolder } from '../../support/media-round-trip.ts';

const { clip, at, decode, roundTrip } = useMediaFolder();

/** RGB 200, 100, 50. This colour reveals every mistake in matrix or range. */
const BROWN = ['-f', 'lavfi', '-i', 'color=0xC86432:size=96x64:rate=25:duration=0.2'];

describe('the result looks like the source:', () => {
  test.for([
    [
      'BT.709, tagged',
      'm709.mp4',
      'scale=out_color_matrix=bt709:out_range=tv,format=yuv420p,setparams=colorspace=bt709:range=tv:color_primaries=bt709:color_trc=bt709',
    ],
    [
      'BT.601, tagged',
      'm601.mp4',
      'scale=out_color_matrix=bt601:out_range=tv,format=yuv420p,setparams=colorspace=smpte170m:range=tv',
    ],
    [
      'full range',
      'mfull.mp4',
      'scale=out_color_matrix=bt709:out_range=full,format=yuv420p,setparams=colorspace=bt709:range=pc',
    ],
    ['untagged', 'mnone.mkv', 'scale=out_color_matrix=bt601:out_range=tv,format=yuv420p'],
    [
      '4:4:4',
      'm444.mkv',
      'scale=out_color_matrix=bt709:out_range=tv,format=yuv444p,setparams=colorspace=bt709:range=tv',
    ],
    ['RGB', 'mrgb.mkv', 'format=gbrp'],
  ] as const)('%s', async ([, name, filter]) => {
    const codec = name === 'mrgb.mkv' ? ['-c:v', 'ffv1'] : ['-c:v', 'libx264', '-qp', '1'];
    const sourcePath = await clip(name, [...BROWN, '-vf', filter, ...codec]);
    const { resultPath } = await roundTrip(sourcePath);
    const [source, result] = await Promise.all([meanColour(sourcePath), meanColour(resultPath)]);
    for (const [channel, value] of source.entries()) {
      expect(Math.abs((result[channel] ?? 0) - value), `channel ${channel} of ${result.join()}`).toBeLessThan(
        2,
      );
    }
  });

  test('range, matrix, primaries, transfer function, place of chroma and pixel aspect ratio are kept', async () => {
    const tags =
      'setsar=1215/1216:max=65535,setparams=colorspace=bt709:range=pc:color_primaries=smpte432:color_trc=iec61966-2-1';
    const sourcePath = await clip('tags.mp4', [
      ...picture({ seconds: 0.2 }),
      '-vf',
      `format=yuv420p,${tags}`,
      '-c:v',
      'libx264',
    ]);
    const { video, resultPath } = await roundTrip(sourcePath);
    const result = await probeVideo(resultPath);
    expect(result.colour).toEqual({
      matrix: 'bt709',
      range: 'pc',
      primaries: 'smpte432',
      transfer: 'iec61966-2-1',
      chromaLocation: 'left',
    });
    expect(result.sampleAspectRatio).toEqual({ numerator: 1215, denominator: 1216 });
    expect(result.colour).toEqual(video.colour);
  });

  test('a rotated video becomes upright and has no rotation flag', async () => {
    const left = await clip('left.mp4', [
      '-f',
      'lavfi',
      '-i',
      'color=black:size=64x48:rate=5:duration=1,drawbox=w=16:h=48:color=white:t=fill',
      ...H264,
    ]);
    const sourcePath = await clip('turned.mp4', ['-i', left, '-c', 'copy', '-metadata:s:v', 'rotate=90']);
    const { video, resultPath } = await roundTrip(sourcePath);
    expect(video).toMatchObject({ width: 48, height: 64 });
    const result = await probeVideo(resultPath);
    expect(result).toMatchObject({ width: 48, height: 64, rotationDegrees: 0 });
    const args = ['-vf', 'scale=1:64:flags=area,format=gray', '-frames:v', '1', '-f', 'rawvideo'];
    await Promise.all([
      ffmpeg(['-i', sourcePath, ...args, at('want.raw')]),
      ffmpeg(['-i', resultPath, ...args, at('got.raw')]),
    ]);
    const [want, got] = await Promise.all([readFile(at('want.raw')), readFile(at('got.raw'))]);
    for (const [row, value] of want.entries())
      expect(Math.abs((got[row] ?? 0) - value), `row ${row}`).toBeLessThan(12);
  });

  test('odd dimensions are padded with a repeated column and row, with a warning', async () => {
    const sourcePath = await clip('odd.mkv', [
      '-f',
      'lavfi',
      '-i',
      'testsrc=size=101x77:rate=25:duration=0.2',
      '-c:v',
      'ffv1',
      '-pix_fmt',
      'yuv444p',
    ]);
    const { resultPath, warnings, frames } = await roundTrip(sourcePath);
    expect(await probeVideo(resultPath)).toMatchObject({ width: 102, height: 78 });
    expect(warnings).toEqual([expect.stringContaining('the result has 102 x 78')]);
    expect((await pictureTimes(resultPath)).seconds).toEqual((await pictureTimes(sourcePath)).seconds);
    expect(frames).toHaveLength(5);

    const white = await clip('white.mkv', [
      '-f',
      'lavfi',
      '-i',
      'color=white:size=101x77:rate=5:duration=0.2',
      '-c:v',
      'ffv1',
      '-pix_fmt',
      'yuv444p',
    ]);
    const padded = await roundTrip(white);
    await ffmpeg([
      '-i',
      padded.resultPath,
      '-frames:v',
      '1',
      '-pix_fmt',
      'rgb24',
      '-f',
      'rawvideo',
      at('white.raw'),
    ]);
    expect(Math.min(...(await readFile(at('white.raw'))))).toBeGreaterThan(245);
  });

  test('frames of twice the size keep the timestamps and the pixel aspect ratio', async () => {
    const sourcePath = await clip('small.mp4', [
      ...picture({ size: '32x24' }),
      '-vf',
      'setsar=16/11',
      ...H264,
    ]);
    const { video, frames, timeline } = await decode(sourcePath);
    const doubled = await clip('doubled.mkv', ['-i', sourcePath, '-vf', 'scale=64:48', '-c:v', 'mjpeg']);
    const large = await decode(doubled);
    expect(large.frames).toHaveLength(frames.length);
    const resultPath = at('doubled-result.mp4');
    const segments = await encodeSegments(video, large.frames, 16);
    await joinVideo({
      timeline,
      video,
      sourcePath,
      outputPath: resultPath,
      trackPlan: NO_TRACKS,
      encoding: DEFAULT_ENCODING,
      cpuSecondsMax: 300,
      frameSize: { width: 64, height: 48 },
      segments: () => each(segments),
    });
    expect(await probeVideo(resultPath)).toMatchObject({
      width: 64,
      height: 48,
      sampleAspectRatio: { numerator: 16, denominator: 11 },
    });
    expect((await pictureTimes(resultPath)).seconds).toEqual((await pictureTimes(sourcePath)).seconds);
  });
});
