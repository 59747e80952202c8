/**
 * Runs a batch of still images: each image is a segment of one frame with a size of its own. While one is on the device, the next one is
 * fetched and decoded, and the one before is encoded and stored.
 *
 * An image that cannot be read, or on which the model fails, is a frame that failed: its result is the original file.
 */
import { createHash } from 'node:crypto';

import { reachStorage } from '../../shared/azure/storage-errors.ts';
import { pieceBlob, previewBlob } from '../../shared/contract/blob-names.ts';
import { type FailureKind, cutText } from '../../shared/contract/messages.ts';
import { IMAGE_PIECES } from '../../shared/contract/piece.ts';
import { imageMetadata, segmentMetadata } from '../../shared/contract/segment.ts';
import { type Fit } from './fit.ts';
import type { FrameBuffer } from './frame-pool.ts';
import { type SegmentRun, inferStage, outputOf, runFit, sharedBuffer } from './infer-stage.ts';
import { MicroBatchSize } from './micro-batch-size.ts';
import { scoreTogether } from './micro-batch.ts';
import { type ModelOutput, bytesOf } from './model-output.ts';
import {
  type ImageFile,
  UnreadableImageError,
  openImage,
  previewOf,
  readImage,
  replacePixels,
} from './picture.ts';
import { PieceMismatchError } from './piece-decoder.ts';
import { OVERLAPPING_BYTES_MAX, RefusedByWorkerError } from './run-segments.ts';
import { storeSegment } from './store-segment.ts';

type ImageTask = SegmentRun['request']['segments'][number];

/** An image in memory, and what the model takes and returns for it. */
interface OpenImage {
  readonly file: ImageFile;
  readonly fit: Fit;
  readonly input: FrameBuffer;
}

interface FetchedImage {
  readonly task: ImageTask;
  readonly frameIndex: number;
  readonly bytes: Buffer;
  /** The reason if it cannot be read. */
  readonly opened: OpenImage | UnreadableImageError;
  readonly fetchSeconds: number;
  readonly decodeSeconds: number;
}

interface ScoredImage extends FetchedImage {
  /** What the model returned. */
  readonly pixels: FrameBuffer | undefined;
  readonly returned: ModelOutput;
  /** How long the model took; undefined if the image failed or was given up before. */
  readonly inferSeconds: number | undefined;
  /** Whether it failed now. */
  readonly hasFailed: boolean;
}

/** Throws what `runSegments` throws, except for an image that fails. */
export async function runImages(run: SegmentRun): Promise<void> {
  const { segments } = run.request;
  let finishing: Promise<void> = Promise.resolve();
  let next = segments[0] && begin(run, segments[0]);
  try {
    await run.turn;
    for (const [number] of segments.entries()) {
      const image = await next;
      if (image === undefined || run.stop.aborted) break;
      const following = segments[number + 1];
      next = following && begin(run, following);
      if (following === undefined && isSmall(image)) run.send({ type: 'nearly scored' });
      const scored = await score(run, image);
      if (following === undefined) run.onScored();
      await finishing;
      finishing = finish(run, scored);
      finishing.catch(() => undefined); // Awaited before the next image is finished, and at the end.
    }
    await finishing;
  } catch (error) {
    await finishing.catch(() => undefined);
    if (!(error instanceof RefusedByWorkerError)) throw error;
  } finally {
    await next?.catch(() => undefined);
  }
}

function begin(run: SegmentRun, task: ImageTask): Promise<FetchedImage> {
  const fetching = fetchImage(run, task);
  fetching.catch(() => undefined); // Awaited when the image is due.
  return fetching;
}

async function fetchImage(run: SegmentRun, task: ImageTask): Promise<FetchedImage> {
  const { request, blobs, discard: signal } = run;
  const [frameIndex] = task.frames;
  const name = pieceBlob(request, frameIndex, IMAGE_PIECES);
  const startedAt = performance.now();
  const bytes = await reachStorage('the pieces container', () => blobs.get('pieces', name, { signal }));
  if (bytes === undefined) throw new PieceMismatchError(`the image ${name} is not in storage`);
  const fetchedAt = performance.now();
  const opened = await openFor(bytes, (size) => runFit(run, size));
  return {
    task,
    frameIndex,
    bytes,
    opened,
    fetchSeconds: (fetchedAt - startedAt) / 1000,
    decodeSeconds: (performance.now() - fetchedAt) / 1000,
  };
}

async function openFor(
  bytes: Buffer,
  fitFor: (size: ImageFile['size']) => Fit,
): Promise<FetchedImage['opened']> {
  try {
    const file = await openImage(bytes);
    const fit = fitFor(file.size);
    const input = sharedBuffer(bytesOf(fit.input));
    input.set(await readImage(file, fit.input));
    return { file, fit, input };
  } catch (error) {
    if (error instanceof UnreadableImageError) return error;
    throw error;
  }
}

async function score(run: SegmentRun, image: FetchedImage): Promise<ScoredImage> {
  const { send, ask } = run;
  const { task, frameIndex, opened } = image;
  const failed = (kind: FailureKind, reason: string): void =>
    send({ type: 'failed', frame: { frameIndex, kind, message: cutText(reason), attempts: 1 } });
  const isOpen = !(opened instanceof UnreadableImageError);
  const fit = isOpen ? opened.fit : runFit(run, { width: 1, height: 1 });
  const returned = outputOf(run, fit);
  const notScored = { ...image, returned, pixels: undefined, inferSeconds: undefined };
  if (task.givenUp.includes(frameIndex)) return { ...notScored, hasFailed: false };
  if (!isOpen) {
    failed('source', opened.message);
    return { ...notScored, hasFailed: true };
  }
  if (task.careful.includes(frameIndex) && !(await ask({ kind: 'careful', frameIndex })))
    throw new RefusedByWorkerError();
  const output = sharedBuffer(returned.bytesPerFrame);
  const frame = { frameIndex, input: opened.input, output };
  const [outcome] = await scoreTogether([frame], new MicroBatchSize(1, () => undefined), {
    infer: inferStage(run, fit, returned),
    onFailed: (_, reason) => failed('inference', reason),
  });
  const seconds = outcome?.[1];
  if (typeof seconds !== 'number') return { ...notScored, hasFailed: true };
  return { ...image, returned, pixels: output, inferSeconds: seconds, hasFailed: false };
}

async function finish(run: SegmentRun, image: ScoredImage): Promise<void> {
  const { request, ask, send } = run;
  const { task, frameIndex, opened, fetchSeconds, decodeSeconds, inferSeconds, hasFailed } = image;
  const { frames, givenUp } = task;
  if (!(await ask({ kind: 'store', frames, failed: hasFailed ? [frameIndex] : [] }))) return;
  const startedAt = performance.now();
  if (frameIndex === request.frameStart) await storePreview(run, image);
  const toStore = image.returned.isVisible ? await encoded(image) : asLine(image);
  const encodedAt = performance.now();
  const failed = hasFailed ? [frameIndex] : givenUp;
  const stored = await storeSegment(run, {
    ...toStore,
    frames,
    failed,
    metadata: { ...segmentMetadata(failed, sizeOf(opened)), ...toStore.metadata },
  });
  const size = sizeOf(opened);
  const megapixels = (size.width * size.height) / 1e6;
  const stageSeconds = {
    fetch: fetchSeconds,
    decode: decodeSeconds,
    infer: inferSeconds ?? 0,
    encode: (encodedAt - startedAt) / 1000,
    store: (performance.now() - encodedAt) / 1000,
  };
  const scored = inferSeconds === undefined ? [] : [{ frameIndex, megapixels, stageSeconds }];
  send({ type: 'stored', segment: { frames, failed: stored, scored } });
}

/** In the format of the original. Without a result, it is the original. */
async function encoded({ bytes, opened, pixels }: ScoredImage) {
  const isRead = !(opened instanceof UnreadableImageError);
  const result =
    isRead && pixels !== undefined
      ? await replacePixels(opened.file, { pixels, size: opened.fit.output }, opened.fit.result)
      : bytes;
  const format = isRead ? opened.file.format : undefined;
  const sha256 = createHash('sha256').update(result).digest('hex');
  return {
    extension: 'image' as const,
    contentType: format === undefined ? 'application/octet-stream' : `image/${format}`,
    metadata: imageMetadata({ format, sha256, pages: isRead ? opened.file.pages : 1 }),
    bytes: result,
  };
}

function asLine({ task, returned }: ScoredImage) {
  const bytes = returned.linesOf?.(task.frames) ?? Buffer.alloc(0);
  return { ...returned.segment, metadata: {}, bytes };
}

async function storePreview(
  { request, blobs, discard: signal }: SegmentRun,
  image: ScoredImage,
): Promise<void> {
  const { opened, pixels, returned } = image;
  if (opened instanceof UnreadableImageError || pixels === undefined || !returned.isVisible) return;
  const { fit, input } = opened;
  const preview = await previewOf(
    { pixels: input, size: fit.input },
    { pixels, size: fit.output },
    fit.result,
  );
  const options = { contentType: 'image/jpeg', signal };
  await reachStorage('the scored container', () =>
    blobs.put('scored', previewBlob(request, image.frameIndex), preview, options),
  );
}

/** Whether another run may have its images in memory, too. */
function isSmall({ opened }: FetchedImage): boolean {
  if (opened instanceof UnreadableImageError) return true;
  return bytesOf(opened.fit.input) + bytesOf(opened.fit.output) <= OVERLAPPING_BYTES_MAX;
}

function sizeOf(opened: FetchedImage['opened']): ImageFile['size'] {
  return opened instanceof UnreadableImageError ? { width: 1, height: 1 } : opened.file.size;
}
