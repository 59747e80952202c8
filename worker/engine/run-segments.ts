/**
 * Runs the segments of one request: pieces from storage → ffmpeg → model → ffmpeg, or lines of numbers → segments in storage.
 *
 * `score-segments` moves the frames; this file says what each stage does. A segment is stored only if it is absent: a second worker changes
 * no byte, and both report what is stored.
 */
import { type StageSeconds, cutText } from '../../shared/contract/messages.ts';
import { type FlickerSum, segmentMetadata } from '../../shared/contract/segment.ts';
import { fitOf } from './fit.ts';
import { FlickerMeter } from './flicker.ts';
import { type SegmentRun, inferStage, outputOf, runFit } from './infer-stage.ts';
import { KeptPictures } from './kept-pictures.ts';
import { type ModelOutput, bytesOf } from './model-output.ts';
import { framesFromPieces } from './piece-source.ts';
import type { EngineSegment } from './protocol.ts';
import { type ScoredSegment, scoreSegments } from './score-segments.ts';
import { storeLines, storeSegment } from './store-segment.ts';

/** Of a frame before and after the model. Two runs with larger frames do not overlap: each has buffers for about ten of them. */
export const OVERLAPPING_BYTES_MAX = 2 ** 26;

/** The worker did not agree to a careful frame: the run ends. */
export class RefusedByWorkerError extends Error {}

/** Throws PieceMismatchError, ModelMismatchError, STORAGE_UNAVAILABLE, MEDIA_TOOL_FAILED, or the reason of `discard`. */
export async function runSegments(run: SegmentRun): Promise<void> {
  const { request, blobs, decoderStalledMs, send, ask, discard } = run;
  const { pieceFormat, pieces } = request;
  const { width, height } = pieceFormat;
  const fit = runFit(run, { width, height });
  const fetching = { seconds: 0 };
  const returned = outputOf(run, fit);
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
          if (request.draw !== true) flicker.add(frame);
          await pictures.keep(frame);
        },
        openEncoder: returned.openEncoder,
        mayStore: ({ task, failed }) => ask({ kind: 'store', frames: task.frames, failed }),
        store: async (scored, bytes) => {
          const fetch = fetching.seconds;
          fetching.seconds = 0;
          await pictures.store(scored.task.frames);
          await storeLines(run, returned, scored.task.frames);
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
