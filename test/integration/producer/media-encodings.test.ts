/** Results in every codec and container, lossless ones, and results of encoders of different builds. */
import { describe, expect, test } from 'vitest';

import { DEFAULT_ENCODING, type Encoding } from '../../../shared/contract/encoding.ts';
import { decodeJpeg } from '../../support/decode-jpeg.ts';
import { H264, ffmpegOutput, ffprobe, picture, pictureTimes, tone } from '../../support/media-clips.ts';
import { useMediaFolder } from '../../support/media-round-trip.ts';

const { clip, roundTrip } = useMediaFolder();

const SIZE = { width: 96, height: 64 };
const source = [
  ...picture({ size: '96x64', seconds: 1.6 }),
  ...tone({ seconds: 1.6 }),
  ...H264,
  '-c:a',
  'aac',
];
const HEVC: Encoding = { ...DEFAULT_ENCODING, codec: 'hevc', crf: 20 };

/** Packed RGB of each frame. */
async function framesOf(path: string): Promise<Buffer[]> {
  const bytes = await ffmpegOutput([
    '-i',
    path,
    '-map',
    '0:v:0',
    '-fps_mode',
    'passthrough',
    '-f',
    'rawvideo',
    '-pix_fmt',
    'rgb24',
    '-',
  ]);
  const frameBytes = SIZE.width * SIZE.height * 3;
  return Array.from({ length: bytes.length / frameBytes }, (_, index) =>
    bytes.subarray(index * frameBytes, (index + 1) * frameBytes),
  );
}

/** In dB, over all frames. */
function psnr(a: readonly Uint8Array[], b: readonly Uint8Array[]): number {
  let [sum, count] = [0, 0];
  for (const [index, frame] of a.entries()) {
    for (const [at, level] of frame.entries()) sum += (level - (b[index]?.[at] ?? 0)) ** 2;
    count += frame.length;
  }
  return 10 * Math.log10(255 ** 2 / (sum / count));
}

describe('a result', () => {
  test.for([
    ['hevc', 'mp4', 'hvc1'],
    ['hevc', 'mov', 'hvc1'],
    ['hevc', 'mkv', '[0][0][0][0]'],
    ['h264', 'mkv', '[0][0][0][0]'],
    ['h264', 'mov', 'avc1'],
  ] as const)(
    'in %s in .%s has every frame at its time, close to the scored frame',
    async ([codec, container, tag]) => {
      const path = await clip(`${codec}.${container}.mp4`, source);
      const { frames, resultPath } = await roundTrip(path, [{ ...HEVC, codec }], container);
      const fields = ['-show_entries', 'stream=codec_name,codec_tag_string', '-select_streams', 'v'];
      const { streams } = (await ffprobe(resultPath, fields)) as { streams: unknown };
      expect(streams).toEqual([{ codec_name: codec, codec_tag_string: tag }]);
      const [before, after] = await Promise.all([pictureTimes(path), pictureTimes(resultPath)]);
      const worst = before.seconds.map((seconds, index) => Math.abs(seconds - (after.seconds[index] ?? NaN)));
      expect(Math.max(...worst)).toBeLessThanOrEqual(after.tickSeconds * 1.000_001);
      const scored = await Promise.all(frames.map(async (jpeg) => (await decodeJpeg(jpeg)).pixels));
      expect(psnr(scored, await framesOf(resultPath))).toBeGreaterThan(25);
    },
  );

  test.for(['h264', 'hevc'] as const)(
    'that is lossless in %s has exactly the scored pixels',
    async (codec) => {
      const path = await clip(`lossless-${codec}.mp4`, source);
      const { frames, resultPath } = await roundTrip(path, [{ ...DEFAULT_ENCODING, codec, crf: null }]);
      const scored = await Promise.all(frames.map(async (jpeg) => (await decodeJpeg(jpeg)).pixels));
      expect(psnr(scored, await framesOf(resultPath))).toBe(Infinity);
    },
  );

  test('of encoders of two builds has the frames of both, and says so', async () => {
    const path = await clip('mixed.mp4', source);
    const other: Encoding = { ...DEFAULT_ENCODING, preset: 'ultrafast' };
    const mixed = await roundTrip(path, [DEFAULT_ENCODING, other]);
    const [one, two] = [await roundTrip(path), await roundTrip(path, [other])];
    const [all, ofOne, ofTwo] = await Promise.all(
      [mixed, one, two].map(({ resultPath }) => framesOf(resultPath)),
    );
    // Segments of 16 frames.
    const expected = ofOne?.map((frame, index) =>
      Math.floor(index / 16) % 2 === 0 ? frame : ofTwo?.[index],
    );
    expect(all?.length).toBe(40);
    expect(all?.map((frame, index) => frame.equals(expected?.[index] ?? Buffer.alloc(0)))).not.toContain(
      false,
    );
    expect(mixed.warnings).toEqual([expect.stringContaining('different builds of the encoder')]);
    expect(one.warnings).toEqual([]);
  });
});
