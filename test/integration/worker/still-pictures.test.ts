/** What a worker stores beside its segments: previews, images of frames, and reports of its progress. */
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import {
  frameImageBlob,
  frameOfPreview,
  previewBlob,
  splitPrefix,
} from '../../../shared/contract/blob-names.ts';
import { decodeMessage, resultMessage } from '../../../shared/contract/messages.ts';
import { decodeJpeg } from '../../support/decode-jpeg.ts';
import { eventually } from '../../support/eventually.ts';
import { HOSTILE_FRAMES } from '../../support/hostile-model.ts';
import { type TestFrame, WorkerFixture } from '../../support/worker-fixture.ts';

let fixture: WorkerFixture;
beforeAll(async () => {
  fixture = await WorkerFixture.open();
});
afterEach(async () => {
  await fixture.stopWorkers();
  await fixture.clear();
});
afterAll(() => fixture[Symbol.asyncDispose]());

/** The red, green and blue levels in the middle of a picture. */
async function colourOf(name: string, at = 0.5): Promise<number[]> {
  const { pixels, width, height } = await decodeJpeg(
    (await fixture.storage.blobs.get('scored', name)) ?? Buffer.alloc(0),
  );
  const start = (Math.floor(height / 2) * width + Math.floor(width * at)) * 3;
  return [...pixels.subarray(start, start + 3)];
}

const isNear = (found: readonly number[], { r, g, b }: { r: number; g: number; b: number }): boolean =>
  [r, g, b].every((level, channel) => Math.abs(level - (found[channel] ?? NaN)) <= 4);

test.for(['png', 'jpg'] as const)(
  'a job that asks for %s images gets one for each frame, also for a replaced one',
  async (frameImages) => {
    const frames: TestFrame[] = ['ordinary', 'steady', 'error', 'ordinary', 'steady', 'ordinary'];
    const stored = await fixture.storeBatch(`job-${frameImages}`, frames);
    const batch = { ...stored, frameImages };
    fixture.startWorker();
    await fixture.send(batch);
    await fixture.resultsOf(batch);
    await fixture.queueIsEmpty();
    for (const [index, colour] of frames.entries()) {
      const name = frameImageBlob(batch, index, frameImages);
      const { format } = await sharp(await fixture.storage.blobs.get('scored', name)).metadata();
      expect(format).toBe(frameImages === 'jpg' ? 'jpeg' : 'png');
      // The identity model; the failed frame shows the original.
      expect([index, isNear(await colourOf(name), HOSTILE_FRAMES[colour])]).toEqual([index, true]);
    }
  },
);

test('a batch has a preview of its first frame, before and after the model', async () => {
  const frames: TestFrame[] = ['steady', 'ordinary', 'ordinary', 'ordinary', 'ordinary'];
  const batch = await fixture.storeBatch('job-previews', frames);
  fixture.startWorker();
  await fixture.send(batch);
  await fixture.resultsOf(batch);
  const stored = await Array.fromAsync(fixture.storage.blobs.list('scored', { prefix: splitPrefix(batch) }));
  const previews = stored.map(({ name }) => name).filter((name) => frameOfPreview(name) !== undefined);
  expect(previews).toEqual([previewBlob(batch, 0)]);
  const [name = ''] = previews;
  const { width, height } = await sharp(await fixture.storage.blobs.get('scored', name)).metadata();
  expect({ width, height }).toEqual({ width: 640, height: 320 });
  expect(isNear(await colourOf(name, 0.25), HOSTILE_FRAMES.steady)).toBe(true);
  expect(isNear(await colourOf(name, 0.75), HOSTILE_FRAMES.steady)).toBe(true);
});

test('a worker reports frames that it has scored before their segment is stored', async () => {
  const frames = Array.from({ length: 100 }, () => 'steady' as const);
  const batch = await fixture.storeBatch('job-underway', frames, { segmentFrames: 100 });
  fixture.startWorker();
  await fixture.send(batch);
  const report = await eventually('a report of progress comes', async () => {
    const message = await fixture.results.receive({ visibilityTimeoutSeconds: 60 });
    if (message === undefined) return undefined;
    await fixture.results.remove(message);
    const decoded = decodeMessage(message.text, resultMessage);
    return decoded.kind === 'valid' && decoded.message.underway > 0 ? decoded.message : undefined;
  });
  expect(report).toMatchObject({ jobId: 'job-underway', scored: [], failed: [], framesRun: 0 });
  expect(report.underway).toBeLessThan(100);
  expect(await fixture.countScored('job-underway')).toBe(0);
});
