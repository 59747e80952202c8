/**
 * Scores consecutive frames together: in as few runs of the model as the size of micro-batches and the place of the frames in memory
 * allow.
 *
 * A run that is short of memory is repeated in halves, down to single frames. After any other failure, its frames run one by one, so
 * that only the guilty one fails. If none of them fails alone, the model does not take several frames, and is not given several again.
 */
import type { FrameRange } from '../../shared/contract/ranges.ts';
import { describeError } from '../../shared/runtime/errors.ts';
import { ModelMismatchError } from './check-model.ts';
import { type FrameBuffer, areNeighbours, spanOf } from './frame-pool.ts';
import type { MicroBatchSize } from './micro-batch-size.ts';
import { isShortOfMemory } from './refusal.ts';

export interface FrameInBuffers {
  readonly frameIndex: number;
  readonly input: FrameBuffer;
  readonly output: FrameBuffer;
}

export interface InferStages {
  /**
   * Scores consecutive frames in one run of the model, from one buffer into another, each with the frames one after the other. Returns how
   * long it took, in seconds. Single frames: a ModelMismatchError ends all work; with any other error, the frame fails.
   */
  readonly infer: (frames: FrameRange, input: FrameBuffer, output: FrameBuffer) => Promise<number>;
  /** Called when a frame has failed alone. */
  readonly onFailed: (frameIndex: number, reason: string) => void;
}

/** A frame with how long the model took for it, in seconds, or that it failed. */
type FrameOutcome = readonly [FrameInBuffers, number | 'failed'];

/** Returns what became of each of these consecutive frames, in order. Throws ModelMismatchError. */
export async function scoreTogether(
  frames: readonly FrameInBuffers[],
  size: MicroBatchSize,
  stages: InferStages,
): Promise<FrameOutcome[]> {
  const runs = splitRuns(frames, size.frames);
  const outcomes = await Promise.all(runs.map((run) => scoreRun(run, size, stages)));
  return outcomes.flat();
}

/** Frames in one run are neighbours in memory. */
function splitRuns(frames: readonly FrameInBuffers[], framesMax: number): FrameInBuffers[][] {
  const runs: FrameInBuffers[][] = [];
  for (const frame of frames) {
    const run = runs.at(-1);
    const last = run?.at(-1);
    const fits =
      run !== undefined &&
      last !== undefined &&
      run.length < framesMax &&
      areNeighbours(last.input, frame.input) &&
      areNeighbours(last.output, frame.output);
    if (fits) run.push(frame);
    else runs.push([frame]);
  }
  return runs;
}

async function scoreRun(
  frames: readonly FrameInBuffers[],
  size: MicroBatchSize,
  stages: InferStages,
): Promise<FrameOutcome[]> {
  const [first] = frames;
  if (first === undefined) return [];
  const { frameIndex } = first;
  try {
    const seconds = await stages.infer(
      [frameIndex, frameIndex + frames.length],
      spanOf(frames.map(({ input }) => input)),
      spanOf(frames.map(({ output }) => output)),
    );
    return frames.map((frame) => [frame, seconds / frames.length]);
  } catch (error) {
    const reason = describeError(error);
    if (frames.length > 1) return scoreAgain(frames, reason, size, stages);
    if (error instanceof ModelMismatchError) throw error;
    // First, because reports cut long reasons, and the runtime's begins with a node and a file of its own.
    stages.onFailed(
      frameIndex,
      isShortOfMemory(reason) ? `out of memory for a single frame: ${reason}` : reason,
    );
    return [[first, 'failed']];
  }
}

/** After a run of several frames has failed for this reason. */
async function scoreAgain(
  frames: readonly FrameInBuffers[],
  reason: string,
  size: MicroBatchSize,
  stages: InferStages,
): Promise<FrameOutcome[]> {
  if (isShortOfMemory(reason)) {
    size.reduceTo(Math.ceil(frames.length / 2), reason);
    return scoreTogether(frames, size, stages);
  }
  const alone = await Promise.all(frames.map((frame) => scoreRun([frame], size, stages)));
  const outcomes = alone.flat();
  if (outcomes.every(([, outcome]) => outcome !== 'failed')) size.reduceTo(1, reason);
  return outcomes;
}
