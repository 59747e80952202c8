/** The sandbox of ffmpeg and ffprobe for untrusted files. Tests each limit with the real programs. */
import { writeFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { addSourceInput, ffmpegCommand, startFfmpeg } from '../../../shared/media/ffmpeg.ts';
import { probeVideo } from '../../../shared/media/probe.ts';
import { type ToolLimits, startTool } from '../../../shared/media/tool-process.ts';
import { H264, ffmpeg, picture, tone } from '../../support/media-clips.ts';
import { useMediaFolder } from '../../support/media-round-trip.ts';

const { at, clip, decode } = useMediaFolder();
const LIMITS: ToolLimits = { cpuSecondsMax: 30 };

/** The output of a shell script that runs under the same limits as ffmpeg. */
async function printed(script: string, limits: ToolLimits = LIMITS): Promise<string> {
  const shell = {
    program: 'sh',
    args: ['-c', script],
    activity: 'testing',
    stdin: 'none',
    stdout: 'pipe',
  } as const;
  const { stdout, finished } = startTool({ ...shell, limits });
  const output = await text(stdout);
  await finished;
  return output.trim();
}

describe('the process', () => {
  beforeAll(() => {
    process.env['FRAMEFLEET_REDIS_URL'] = 'redis://secret';
    process.env['IDENTITY_HEADER'] = 'secret';
  });
  afterAll(() => {
    delete process.env['FRAMEFLEET_REDIS_URL'];
    delete process.env['IDENTITY_HEADER'];
  });

  test('has an empty environment', async () => {
    expect(await printed('/bin/cat /proc/$$/environ')).toBe('');
  });

  test('has limits on CPU time, address space, open files and core dumps', async () => {
    const limits = { cpuSecondsMax: 7, addressSpaceBytesMax: 2 ** 30 };
    expect(await printed('ulimit -t; ulimit -v; ulimit -n; ulimit -c', limits)).toBe('7\n1048576\n64\n0');
  });

  test('is killed when its CPU time is used up, and the error states the limit', async () => {
    await expect(printed('while :; do :; done', { cpuSecondsMax: 1 })).rejects.toMatchObject({
      code: 'MEDIA_TOOL_FAILED',
      message: expect.stringContaining('it used up its 1 s of CPU time'),
    });
  });

  test('cannot allocate more than its address space', async () => {
    const sourcePath = await clip('large.mkv', [...picture({ seconds: 0.2 }), ...H264]);
    const decoding = (addressSpaceBytesMax: number) =>
      startFfmpeg({
        command: addSourceInput(ffmpegCommand(), sourcePath)
          .videoFilters('scale=14000:9000')
          .output('pipe:1')
          .outputOptions('-f', 'null'),
        activity: 'testing',
        stdin: 'none',
        stdout: 'none',
        limits: { cpuSecondsMax: 60, addressSpaceBytesMax },
      }).finished;
    await expect(decoding(4 * 2 ** 30)).resolves.toMatchObject({ warnings: [] });
    await expect(decoding(500 * 2 ** 20)).rejects.toMatchObject({ code: 'MEDIA_TOOL_FAILED' });
  });
});

describe('a source', () => {
  test.for([
    [
      'a playlist',
      'hls.mp4',
      '#EXTM3U\n#EXT-X-TARGETDURATION:1\n#\0\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n',
    ],
    ['a list of files', 'concat.mp4', "ffconcat version 1.0\n# \0\nfile '/etc/passwd'\n"],
    [
      'a session description',
      'sdp.mp4',
      'v=0\no=- 0 0 IN IP4 127.0.0.1\ns=\0\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n',
    ],
  ] as const)('may not be %s', async ([, name, content]) => {
    await writeFile(at(name), content);
    await expect(probeVideo(at(name))).rejects.toMatchObject({ code: 'SOURCE_NOT_VIDEO' });
  });

  test('can only use the demuxers of common containers', async () => {
    // ffmpeg reads raw MPEG-4, but it is not on our list of containers.
    await ffmpeg([...picture({}), '-c:v', 'mpeg4', '-f', 'm4v', at('raw.mp4')]);
    await expect(probeVideo(at('raw.mp4'))).rejects.toMatchObject({
      code: 'SOURCE_NOT_VIDEO',
      cause: { message: expect.stringContaining('not on whitelist') },
    });
  });

  test('can only use common decoders, and the error names the missing one', async () => {
    const sourcePath = await clip('snow.avi', [...picture({}), '-c:v', 'snow', '-strict', '-2']);
    await expect(probeVideo(sourcePath)).rejects.toMatchObject({
      code: 'SOURCE_NOT_VIDEO',
      message: expect.stringContaining('in the format snow, which is not supported'),
    });
  });

  test.for([
    'http://127.0.0.1:9/x.mp4',
    'tcp://127.0.0.1:9',
    'concat:/etc/passwd',
    'data:text/plain,x',
    'pipe:0',
  ])('can only be read through the file protocol: %s', async (address) => {
    const command = addSourceInput(ffmpegCommand(), at('x')).output('-').outputOptions('-f', 'null');
    const args = command
      ._getArguments()
      .map((argument) => (argument === `file:${at('x')}` ? address : argument));
    const { finished } = startTool({
      program: 'ffmpeg',
      args: ['-loglevel', 'error', '-nostdin', ...args],
      activity: 'testing',
      stdin: 'none',
      stdout: 'none',
      limits: LIMITS,
    });
    await expect(finished).rejects.toThrow(/not on whitelist/);
  });

  test.for([
    ['H.265 and AC-3', 'a.mkv', ['-c:v', 'libx265', '-x265-params', 'log-level=error', '-c:a', 'ac3']],
    ['VP9 and Opus', 'b.webm', ['-c:v', 'libvpx-vp9', '-b:v', '200k', '-c:a', 'libopus']],
    [
      'AV1 and Vorbis',
      'c.mkv',
      ['-c:v', 'libaom-av1', '-cpu-used', '8', '-b:v', '100k', '-c:a', 'libvorbis'],
    ],
    ['MPEG-2 and MP2', 'd.ts', ['-c:v', 'mpeg2video', '-c:a', 'mp2']],
    ['ProRes and PCM', 'e.mov', ['-c:v', 'prores', '-c:a', 'pcm_s16le']],
    ['Motion JPEG and ADPCM', 'f.avi', ['-c:v', 'mjpeg', '-c:a', 'adpcm_ms']],
    ['FFV1 and FLAC', 'g.mkv', ['-c:v', 'ffv1', '-c:a', 'flac']],
    ['WMV and WMA', 'h.wmv', ['-c:v', 'wmv2', '-c:a', 'wmav2']],
  ] as const)('in a common format can be decoded: %s', async ([, name, codecs]) => {
    const sourcePath = await clip(name, [
      ...picture({ seconds: 0.4, rate: '10' }),
      ...tone({ seconds: 0.4, rate: 48_000 }),
      '-pix_fmt',
      name === 'e.mov' ? 'yuv422p10le' : name === 'f.avi' ? 'yuvj420p' : 'yuv420p',
      ...codecs,
    ]);
    expect((await decode(sourcePath)).frames).toHaveLength(4);
  });
});
