/**
 * Runs the segments of one request: pieces from storage → ffmpeg → model → ffmpeg, or lines of numbers → segments in storage.
 *
 * `score-segments` moves the frames; this file says what each stage does. A segment is stored only if it is absent: a second worker changes
 * no byte, and both report what is stored.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { reachStorage } from '../../shared/azure/storage-errors.ts';
import { type SegmentExtension, segmentBlob } from '../../shared/contract/blob-names.ts';
import { type StageSeconds, cutText } from '../../shared/contract/messages.ts';
import type { ModelManifest } from '../../shared/contract/model-manifest.ts';
import { type FrameRange, countOf } from '../../shared/contract/ranges.ts';
import { type FlickerSum, failedInSegment, segmentMetadata } from '../../shared/contract/segment.ts';
import type { FramesPerRun } from './check-model.ts';
import { type Fit, fitOf } from './fit.ts';
import { FlickerMeter } from './flicker.ts';
import { type Inference, stateOf } from './inference-client.ts';
import { KeptPictures } from './kept-pictures.ts';
import type { MicroBatchSize } from './micro-batch-size.ts';
import type { InferStages } from './micro-batch.ts';
import { type ModelOutput, bytesOf, numbersOutput, pictureOutput } from './model-output.ts';
import { framesFromPieces } from './piece-source.ts';
import type { EngineQuestion, EngineSegment, RunReport, RunRequest } from './protocol.ts';
import { type ScoredSegment, scoreSegments } from './score-segments.ts';

/** Of a frame before and after the model. Two runs with larger frames do not overlap: each has buffers for about ten of them. */
export const OVERLAPPING_BYTES_MAX = 2 ** 26;

export interface SegmentRun {
  readonly request: RunRequest;
  readonly blobs: BlobStore;
  readonly inference: Inference;
  readonly manifest: ModelManifest;
  readonly weights: ReadonlyMap<string, Float32Array>;
  readonly framesPerRun: FramesPerRun;
  readonly microBatch: MicroBatchSize;
  /** Resolves when the run before has scored its frames. */
  readonly turn: Promise<void>;
  /** Called when all frames are scored. */
  readonly onScored: () => void;
  /** A decoder that yields no frame for this long is at fault. */
  readonly decoderStalledMs: number;
  readonly send: (report: RunReport) => void;
  readonly ask: (question: EngineQuestion) => Promise<boolean>;
  /** Aborted: start no more frames. */
  readonly stop: AbortSignal;
  /** Aborted: write nothing more. */
  readonly discard: AbortSignal;
}

/** The worker did not agree to a careful frame: the run ends. */
export class RefusedByWorkerError extends Error {}

/** Throws PieceMismatchError, ModelMismatchError, STORAGE_UNAVAILABLE, MEDIA_TOOL_FAILED, or the reason of `discard`. */
export async function runSegments(run: SegmentRun): Promise<void> {
  const { request, manifest, blobs, decoderStalledMs, send, ask, discard } = run;
  const { pieceFormat, pieces } = request;
  const { width, height } = pieceFormat;
  const fit = fitOf(manifest, { width, height });
  const fetching = { seconds: 0 };
  const { output } = manifest;
  const returned =
    'kind' in output ? numbersOutput(output) : pictureOutput({ ...manifest, output }, fit, request, discard);
  const flicker = new FlickerMeter(fit);
  const pictures = new KeptPictures({ blobs, request, fit, signal: discard });
  try {
    await scoreSegments({
      segments: request.segments.map(({ frames, givenUp, careful, isWarmUp = false }) => ({
        frames,
        isWarmUp,
        givenUp: new Set(givenUp),
        careful: new Set(careful),
      })),
      inputBytes: bytesOf(fit.input),
      outputBytes: returned.bytesPerFrame,
      microBatch: run.microBatch,
      onFailedFrame: request.onFailedFrame,
      stop: run.stop,
      turn: run.turn,
      stages: {
        source: (segments, pool) =>
          framesFromPieces(
            {
              blobs,
              split: request,
              format: pieceFormat,
              size: fit.input,
              pieces,
              stalledMs: decoderStalledMs,
              signal: discard,
              onFetched: (seconds) => (fetching.seconds += seconds),
            },
            segments,
            pool,
          ),
        infer: inferStage(run, fit, returned),
        onFailed: (frameIndex, reason) =>
          send({
            type: 'failed',
            frame: { frameIndex, kind: 'inference', message: cutText(reason), attempts: 1 },
          }),
        fit: returned.keepOriginal,
        keep: async (frame) => {
          if (!returned.isVisible) return;
          flicker.add(frame);
          await pictures.keep(frame);
        },
        openEncoder: returned.openEncoder,
        mayStore: ({ task, failed }) => ask({ kind: 'store', frames: task.frames, failed }),
        store: async (scored, bytes) => {
          const fetch = fetching.seconds;
          fetching.seconds = 0;
          await pictures.store(scored.task.frames);
          send({ type: 'stored', segment: await store(run, returned, scored, bytes, fetch, flicker.take()) });
        },
        onNearlyScored: () => {
          if (bytesOf(fit.input) + returned.bytesPerFrame <= OVERLAPPING_BYTES_MAX)
            send({ type: 'nearly scored' });
        },
        onScored: run.onScored,
        announce: async (frameIndex) => {
          if (!(await ask({ kind: 'careful', frameIndex }))) throw new RefusedByWorkerError();
        },
      },
    });
  } catch (error) {
    if (!(error instanceof RefusedByWorkerError)) throw error;
  }
}

export function outputOf({ request, manifest, discard }: SegmentRun, fit: Fit): ModelOutput {
  const { output } = manifest;
  return 'kind' in output
    ? numbersOutput(output)
    : pictureOutput({ ...manifest, output }, fit, request, discard);
}

export function inferStage(
  { inference, manifest, weights, framesPerRun, send }: SegmentRun,
  { input: { width, height } }: Fit,
  returned: ModelOutput,
): InferStages['infer'] {
  let isStart = true;
  const tensors = stateOf(manifest, { width, height });
  return async (frames, pixels, output) => {
    const isShort = framesPerRun.isFixed && countOf([frames]) < framesPerRun.max;
    const count = isShort ? framesPerRun.max : countOf([frames]);
    send({ type: 'computing', frames });
    const state = tensors && { tensors, isStart };
    isStart = false;
    try {
      const answer = await inference.infer({
        ...(state && { state }),
        input: {
          name: manifest.input.name,
          pixels: isShort ? padded(pixels, count * bytesOf({ width, height })) : pixels,
          dims: [count, height, width, 3],
        },
        weights,
        outputs: returned.ask({ frames, count }, output),
      });
      returned.accept({ frames, count }, answer.outputs, output);
      return answer.seconds;
    } finally {
      send({ type: 'computed', frames });
    }
  };
}

/** For a model that takes a fixed number of frames: black frames after these. */
function padded(pixels: Uint8Array, bytes: number): Uint8Array {
  const all = new Uint8Array(bytes);
  all.set(pixels);
  return all;
}

async function store(
  run: SegmentRun,
  { segment }: ModelOutput,
  scored: ScoredSegment,
  bytes: Buffer,
  fetchSeconds: number,
  flicker: FlickerSum,
): Promise<EngineSegment> {
  const { request, manifest } = run;
  const { frames, givenUp } = scored.task;
  const failed = [...givenUp, ...scored.failed];
  const startedAt = performance.now();
  const metadata = segmentMetadata(failed, fitOf(manifest, request.pieceFormat).result, flicker);
  const inStorage = await storeSegment(run, { ...segment, frames, failed, metadata, bytes });
  const storeSeconds = (performance.now() - startedAt) / 1000;
  const { decodeSeconds, encodeSeconds } = scored;
  const count = frames[1] - frames[0];
  const shares: Omit<StageSeconds, 'infer'> = {
    fetch: fetchSeconds / count,
    // The source waits for its fetches.
    decode: Math.max(0, decodeSeconds - fetchSeconds) / count,
    encode: encodeSeconds / count,
    store: storeSeconds / count,
  };
  const megapixels = (request.pieceFormat.width * request.pieceFormat.height) / 1e6;
  return {
    frames,
    failed: inStorage,
    scored: [...scored.inferSeconds].map(([frameIndex, infer]) => ({
      frameIndex,
      megapixels,
      stageSeconds: { ...shares, infer },
    })),
  };
}

interface SegmentToStore {
  readonly frames: FrameRange;
  readonly failed: readonly number[];
  readonly extension: SegmentExtension;
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly bytes: Buffer;
}

/** Returns the frames that show a replacement in storage: those of this segment, or of one that another worker has stored before. */
export async function storeSegment(
  { request, blobs, discard: signal }: SegmentRun,
  { frames, failed, extension, contentType, metadata, bytes }: SegmentToStore,
): Promise<readonly number[]> {
  const name = segmentBlob(request, frames, extension);
  return reachStorage('the scored container', async () => {
    const options = { onlyIfAbsent: true, contentType, metadata, signal };
    if ((await blobs.put('scored', name, bytes, options)) === 'created') return failed;
    const found = await blobs.stat('scored', name, { signal });
    return found === undefined ? failed : failedInSegment(frames, found.metadata);
  });
}
