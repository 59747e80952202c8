import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { splitMpjpeg } from '../../../producer/media/mpjpeg.ts';

const CRLF = '\r\n';

function mpjpegOf(jpegs: readonly Uint8Array[]): Buffer {
  const parts = jpegs.flatMap((jpeg) => [
    Buffer.from(`Content-type: image/jpeg${CRLF}Content-length: ${jpeg.length}${CRLF}${CRLF}`),
    jpeg,
    Buffer.from(`${CRLF}--ffmpeg${CRLF}`),
  ]);
  return Buffer.concat([Buffer.from(`--ffmpeg${CRLF}`), ...parts]);
}

/** Yields the stream in chunks, cycling through the given sizes. */
async function* inChunks(stream: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  let offset = 0;
  for (let turn = 0; offset < stream.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    yield stream.subarray(offset, offset + size);
    offset += size;
  }
  await Promise.resolve();
}

async function split(stream: Buffer, sizes: readonly number[] = [65_536]): Promise<Buffer[]> {
  return Array.fromAsync(splitMpjpeg(inChunks(stream, sizes)));
}

/** Bytes that resemble boundaries and headers. */
const confusableBytes = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc
        .constantFrom('--ffmpeg\r\n', '\r\n--ffmpeg\r\n', '\r\n\r\n', 'Content-length: 9')
        .map((text) => Buffer.from(text)),
    ),
    { maxLength: 6 },
  )
  .map((pieces) => Buffer.concat(pieces));

test('the stream is split into the same frames for any chunking and any content', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(confusableBytes, { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 5 }),
      async (jpegs, sizes) => {
        expect(await split(mpjpegOf(jpegs), sizes)).toEqual(jpegs);
      },
    ),
  );
});

test('a stream that is truncated within a frame throws and never yields a short frame', async () => {
  const jpegs = [Buffer.from('first frame'), Buffer.from('second')];
  const stream = mpjpegOf(jpegs);
  const endOfFirst = mpjpegOf(jpegs.slice(0, 1)).length;
  for (let cut = 1; cut < stream.length; cut += 1) {
    if (cut === '--ffmpeg\r\n'.length || cut === endOfFirst) continue;
    await expect(split(stream.subarray(0, cut), [7]), `cut at ${cut}`).rejects.toMatchObject({
      code: 'MEDIA_TOOL_FAILED',
    });
  }
});

test('an empty stream has no frames', async () => {
  expect(await split(Buffer.alloc(0))).toEqual([]);
});

test.for([
  ['no boundary', 'Content-type: image/jpeg\r\nContent-length: 1\r\n\r\nx'],
  [
    'another content type',
    '--ffmpeg\r\nContent-type: text/html\r\nContent-length: 1\r\n\r\nx\r\n--ffmpeg\r\n',
  ],
  ['no length', '--ffmpeg\r\nContent-type: image/jpeg\r\n\r\nx\r\n--ffmpeg\r\n'],
  [
    'a length that is too small',
    '--ffmpeg\r\nContent-type: image/jpeg\r\nContent-length: 1\r\n\r\nxyz\r\n--ffmpeg\r\n',
  ],
  ['an absurd length', '--ffmpeg\r\nContent-type: image/jpeg\r\nContent-length: 9999999999\r\n\r\nx'],
  ['an endless header', `--ffmpeg\r\nContent-type: ${'x'.repeat(400)}`],
] as const)('a stream with %s is rejected', async ([, text]) => {
  await expect(split(Buffer.from(text))).rejects.toMatchObject({ code: 'MEDIA_TOOL_FAILED' });
});

test('a large frame in small chunks takes linear time', async () => {
  const jpeg = Buffer.alloc(32 * 1024 * 1024, 7);
  // 32,000 chunks: fast if each is copied once. Copying everything again for each chunk would move 500 GB.
  const [found] = await split(mpjpegOf([jpeg]), [1024]);
  expect(found?.equals(jpeg)).toBe(true);
});
