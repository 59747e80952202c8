/**
 * How many frames of a model and a picture size run together. PURE.
 *
 * More frames in one run keep a GPU busy between its kernels. On the CPU they bring nothing: the engine with the painter at 160×96 took
 * 24.6 ms of CPU time a frame with single frames, and 24.5 ms with four together; at 640×360, 303 and 336 ms. The size is chosen when a
 * run starts, from what the model takes and what fits into memory. It falls when a run shows that it is too large, and the worker
 * remembers that.
 */
import type { FrameSize } from '../../shared/contract/segment.ts';
import type { WorkerConfig } from '../config.ts';
import type { FramesPerRun } from './check-model.ts';
import type { RunRequest } from './protocol.ts';

/** More do not make a GPU busier, and each is a suspect if the engine dies. A segment has up to 128 frames. */
const AUTO_FRAMES_MAX = 16;
/** Activations of a model for each pixel that it takes or returns. The painter takes 217 for a pixel of its input. */
const DEVICE_BYTES_PER_PIXEL = 1_024;
/** The rest is for what other sizes of batches, and the runtime's search for algorithms, leave allocated. */
const DEVICE_SHARE = 0.5;
/** Workloads to remember. The oldest are forgotten: then a micro-batch is too large once more. */
const WORKLOADS_MAX = 100;
/** For the pixels of the frames in memory that both threads share. */
const BUFFER_BYTES_MAX = 512 * 2 ** 20;
/** Micro-batches in memory: one on the device, one waiting for it, and one that is decoded or encoded. */
export const BATCHES_IN_MEMORY = 3;

export interface MicroBatchFacts {
  /** From the worker's settings. */
  readonly setting: WorkerConfig['microBatchFramesMax'];
  readonly executionProvider: string;
  /** Of the device, with the model loaded; null if it is not known. */
  readonly deviceFreeBytes: number | null;
  /** What the model takes. */
  readonly framesPerRun: FramesPerRun;
  /** What earlier runs of the model with this picture size have shown; null if they have shown no limit. */
  readonly knownMax: number | null;
  readonly input: FrameSize;
  readonly output: FrameSize;
}

export function microBatchFrames(facts: MicroBatchFacts): number {
  const { setting, framesPerRun, knownMax, input, output } = facts;
  if (framesPerRun.isFixed) return framesPerRun.max;
  const pixels = input.width * input.height + output.width * output.height;
  const frames = Math.min(
    setting === 'auto' ? autoFrames(facts, pixels) : setting,
    framesPerRun.max,
    knownMax ?? Infinity,
    Math.floor(BUFFER_BYTES_MAX / (BATCHES_IN_MEMORY * 3 * pixels)),
  );
  return Math.max(1, frames);
}

function autoFrames({ executionProvider, deviceFreeBytes }: MicroBatchFacts, pixels: number): number {
  // TensorRT builds its engine again, which takes minutes, for each number of frames that is outside those it has seen.
  if (executionProvider !== 'cuda' || deviceFreeBytes === null) return 1;
  const fits = (DEVICE_SHARE * deviceFreeBytes) / (DEVICE_BYTES_PER_PIXEL * pixels);
  // A power of two divides most segments, and few different sizes mean few searches for the fastest algorithms.
  return Math.min(AUTO_FRAMES_MAX, 2 ** Math.floor(Math.log2(Math.max(1, fits))));
}

/** The size in use in a run of the engine. It only falls. */
export class MicroBatchSize {
  #frames: number;
  readonly #onReduced: (frames: number, reason: string) => void;

  constructor(frames: number, onReduced: (frames: number, reason: string) => void) {
    this.#frames = frames;
    this.#onReduced = onReduced;
  }

  get frames(): number {
    return this.#frames;
  }

  /** After a run of more frames has failed for this reason. */
  reduceTo(frames: number, reason: string): void {
    if (frames >= this.#frames) return;
    this.#frames = frames;
    this.#onReduced(frames, reason);
  }
}

/** A model and a picture size: what a frame costs depends on both. */
export function workloadOf({ model, pieceFormat }: Pick<RunRequest, 'model' | 'pieceFormat'>): string {
  return `${model.sha256} ${pieceFormat.width}x${pieceFormat.height}`;
}

/** Which sizes are too large for a workload. Kept by the worker, because an engine may die of it. */
export class KnownMicroBatches {
  readonly #framesMax = new Map<string, number>();

  /** Null for a workload without a failure. */
  maxFor(workload: string): number | null {
    return this.#framesMax.get(workload) ?? null;
  }

  reduce(workload: string, framesMax: number): void {
    this.#framesMax.set(workload, framesMax);
    const [oldest] = this.#framesMax.keys();
    if (this.#framesMax.size > WORKLOADS_MAX && oldest !== undefined) this.#framesMax.delete(oldest);
  }
}
