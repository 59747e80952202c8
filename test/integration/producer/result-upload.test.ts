/** A result is uploaded while ffmpeg writes it: the blob is what ffmpeg would have made, and the file stays small. */
import { readFile, stat } from 'node:fs/promises';

import { expect, test } from 'vitest';

import { RESULT_ROOM_BYTES, ResultUpload } from '../../../producer/jobs/result-upload.ts';
import { writeResult } from '../../../producer/media/write-result.ts';
import type { BlockUpload } from '../../../shared/azure/block-upload.ts';
import { ffmpegCommand, fileUrl } from '../../../shared/media/ffmpeg.ts';
import { fileOfBlocks, useMediaFolder } from '../../support/media-round-trip.ts';

const { at } = useMediaFolder();

/** Raw frames, 276 MB in all: more than the room of a result. */
const SIZE = { width: 1280, height: 720 };
const FRAME_BYTES = (SIZE.width * SIZE.height * 3) / 2;
const FRAMES = 200;

async function* frames(count = FRAMES): AsyncGenerator<Buffer> {
  for (let index = 0; index < count; index += 1) {
    yield Buffer.alloc(FRAME_BYTES, index);
    await Promise.resolve();
  }
}

async function write(
  outputPath: string,
  track: AsyncIterable<Buffer>,
  options: readonly string[] = [],
): Promise<void> {
  const command = ffmpegCommand()
    .input('pipe:0')
    .inputOptions('-f', 'rawvideo', '-pix_fmt', 'yuv420p', '-video_size', `${SIZE.width}x${SIZE.height}`)
    .output(fileUrl(outputPath))
    .outputOptions('-y', '-c', 'copy', '-fflags', '+bitexact', ...options);
  await writeResult({ command, activity: 'writing', outputPath, cpuSecondsMax: 300 }, track);
}

test.each([
  ['mov', ['-movflags', '+faststart']],
  ['mkv', []],
] as const)(
  'the blob of an .%s is what ffmpeg makes with its index at the front',
  async (container, options) => {
    const [outputPath, blobPath] = [at(`written.${container}`), at(`blob.${container}`)];
    await using upload = new ResultUpload(outputPath, fileOfBlocks(blobPath));
    let bytesMax = 0;
    await write(
      outputPath,
      upload.behind(
        (async function* () {
          for await (const frame of frames()) {
            yield frame;
            const { blocks } = await stat(outputPath).catch(() => ({ blocks: 0 }));
            bytesMax = Math.max(bytesMax, blocks * 512);
          }
        })(),
      ),
    );
    const size = await upload.finish(container);
    expect(size).toBeGreaterThan(RESULT_ROOM_BYTES);
    expect(bytesMax).toBeGreaterThan(0);
    expect(bytesMax).toBeLessThan(RESULT_ROOM_BYTES);

    const referencePath = at(`reference.${container}`);
    await write(referencePath, frames(), options);
    const [blob, reference] = await Promise.all([readFile(blobPath), readFile(referencePath)]);
    expect(blob.length).toBe(size);
    expect(blob.equals(reference)).toBe(true);
  },
);

test('a file that is written again from its start is uploaded from its start', async () => {
  const [outputPath, blobPath] = [at('again.mov'), at('again-blob.mov')];
  await using upload = new ResultUpload(outputPath, fileOfBlocks(blobPath));
  await expect(
    write(
      outputPath,
      upload.behind(
        (async function* () {
          yield* frames(50);
          throw new Error('write it again');
        })(),
      ),
    ),
  ).rejects.toThrow('write it again');
  await write(outputPath, upload.behind(frames(40)));
  await upload.finish('mov');
  await write(at('again-reference.mov'), frames(40), ['-movflags', '+faststart']);
  const [blob, reference] = await Promise.all(
    [blobPath, at('again-reference.mov')].map((path) => readFile(path)),
  );
  expect(blob?.equals(reference ?? Buffer.alloc(0))).toBe(true);
});

test('the error of an upload stops ffmpeg', async () => {
  const outputPath = at('refused.mov');
  const blob: BlockUpload = {
    putBlock: () => Promise.reject(new Error('no storage')),
    commit: () => Promise.resolve(),
  };
  await using upload = new ResultUpload(outputPath, blob);
  await expect(write(outputPath, upload.behind(frames()))).rejects.toThrow('no storage');
});
