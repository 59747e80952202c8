/**
 * How frames of a run get through the model: as a whole, in tiles, or with what the model says of them drawn into them.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import type { ModelManifest } from '../../shared/contract/model-manifest.ts';
import { countOf } from '../../shared/contract/ranges.ts';
import type { FrameSize } from '../../shared/contract/segment.ts';
import type { FramesPerRun } from './check-model.ts';
import { type Fit, fitOf, wholePicture } from './fit.ts';
import type { FrameBuffer } from './frame-pool.ts';
import { type Inference, stateOf } from './inference-client.ts';
import type { MicroBatchSize } from './micro-batch-size.ts';
import type { InferStages } from './micro-batch.ts';
import { type ModelOutput, bytesOf, drawnOutput, numbersOutput, pictureOutput } from './model-output.ts';
import { fitPicture } from './picture.ts';
import type { EngineQuestion, RunReport, RunRequest } from './protocol.ts';
import { type Tiling, readTile, tilingOf, writeTile } from './tiles.ts';

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

/** How frames of this size get into the run. To be drawn into, they keep their size. */
export function runFit({ request, manifest }: SegmentRun, frame: FrameSize): Fit {
  const whole = wholePicture(frame);
  return request.draw === true ? { input: whole, output: whole, result: frame } : fitOf(manifest, frame);
}

export function outputOf(run: SegmentRun, fit: Fit): ModelOutput {
  const { request, manifest, discard } = run;
  const { output } = manifest;
  if ('kind' in output && request.draw === true)
    return drawnOutput(output, fitOf(manifest, fit.result), request, discard);
  return 'kind' in output
    ? numbersOutput(output, fit)
    : pictureOutput({ ...manifest, output }, fit, request, discard);
}

/** Reports the frames that native code works on. */
export function inferStage(run: SegmentRun, fit: Fit, returned: ModelOutput): InferStages['infer'] {
  const { manifest, send } = run;
  const tiling = tilingOf(manifest.input, fit.input);
  const infer =
    returned.numbers !== undefined
      ? drawnFrames(run, returned.numbers, fit, returned)
      : tiling === undefined
        ? wholeFrames(run, fit, returned)
        : inTiles(run, fit, tiling);
  return async (frames, pixels, output) => {
    send({ type: 'computing', frames });
    try {
      return await infer(frames, pixels, output);
    } finally {
      send({ type: 'computed', frames });
    }
  };
}

function wholeFrames(
  { inference, manifest, weights, framesPerRun }: SegmentRun,
  { input: { width, height } }: Pick<Fit, 'input'>,
  returned: ModelOutput,
): InferStages['infer'] {
  let isStart = true;
  const tensors = stateOf(manifest, { width, height });
  return async (frames, pixels, output) => {
    const isShort = framesPerRun.isFixed && countOf([frames]) < framesPerRun.max;
    const count = isShort ? framesPerRun.max : countOf([frames]);
    const state = tensors && { tensors, isStart };
    isStart = false;
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
  };
}

/** Single frames: one tile after the other. */
function inTiles(run: SegmentRun, fit: Fit, { tile, columns, rows }: Tiling): InferStages['infer'] {
  const scale = fit.output.width / fit.input.width;
  const returned = { width: tile.width * scale, height: tile.height * scale };
  const tileFit = { input: wholePicture(tile), output: wholePicture(returned), result: returned };
  const infer = wholeFrames(run, tileFit, outputOf(run, tileFit));
  const buffers = inTurn(() => ({
    before: { size: tile, pixels: sharedBuffer(bytesOf(tile)) },
    after: { size: returned, pixels: sharedBuffer(bytesOf(returned)) },
  }));
  return async (frames, pixels, output) => {
    const { before, after } = buffers();
    let seconds = 0;
    for (const row of rows) {
      for (const column of columns) {
        readTile({ size: fit.input, pixels }, { x: column.start, y: row.start }, before);
        seconds += await infer(frames, before.pixels, after.pixels);
        writeTile({ size: fit.output, pixels: output }, { column, row, scale }, after);
      }
    }
    return seconds;
  };
}

/** Single frames: what the model says of each is drawn into it. */
function drawnFrames(
  run: SegmentRun,
  numbers: ModelOutput,
  frame: Fit,
  { draw }: ModelOutput,
): InferStages['infer'] {
  const fit = fitOf(run.manifest, frame.result);
  const infer = wholeFrames(run, fit, numbers);
  const buffers = inTurn(() => sharedBuffer(bytesOf(fit.input)));
  /** One after the other, so that frames reach the model in order. */
  let fitting = Promise.resolve();
  return async (frames, pixels, output) => {
    const buffer = buffers();
    const fitted = fitting.then(() => fitPicture(pixels, frame.result, buffer, fit.input));
    fitting = fitted.catch(() => undefined);
    await fitted;
    const seconds = await infer(frames, buffer, sharedBuffer(0));
    await draw?.(frames[0], pixels, output);
    return seconds;
  };
}

/** Two frames are in the stage at the same time, so each has a buffer of its own. */
function inTurn<T>(make: () => T): () => T {
  const [one, other] = [make(), make()];
  let calls = 0;
  return () => {
    calls += 1;
    return calls % 2 === 0 ? one : other;
  };
}

/** For a model that takes a fixed number of frames: black frames after these. */
function padded(pixels: Uint8Array, bytes: number): Uint8Array {
  const all = new Uint8Array(bytes);
  all.set(pixels);
  return all;
}

/** Memory that the inference thread shares. */
export function sharedBuffer(bytes: number): FrameBuffer {
  return new Uint8Array(new SharedArrayBuffer(bytes));
}
