/**
 * Scores consecutive frames and encodes them as segments: source → model → encoder, all at work at the same time on different frames.
 *
 * Frames reach the model and the encoder in order: one on the device, one waiting for it. While the encoder drains a segment and the
 * segment is stored, the next one is already scored. Memory is bounded by two pools of frames and two encoded segments.
 *
 * A frame that fails shows a replacement, as the job's policy says: the original, or the previous frame of its segment. Whether the
 * segment is stored with it, or tried again, is for `mayStore` to decide. A frame that is given up is not tried. A careful frame
 * is announced before it runs, with no other frame on the device.
 */
import type { FailedFramePolicy } from '../../shared/contract/encoding.ts';
import type { FrameRange } from '../../shared/contract/ranges.ts';
import { describeError } from '../../shared/runtime/errors.ts';
import { ModelMismatchError } from './check-model.ts';
import { type FrameBuffer, FramePool } from './frame-pool.ts';
import type { SegmentEncoder } from './segment-encoder.ts';

/** One on the device, and one in the queue of its thread. */
const RUNS_AT_ONCE = 2;
/** Besides those on the device. */
const DECODED_AHEAD = 4;
/** Besides those on the device: one in the encoder's pipe, and the previous frame. */
const OUTPUTS_KEPT = 2;

export interface SegmentTask {
  readonly frames: FrameRange;
  readonly givenUp: ReadonlySet<number>;
  readonly careful: ReadonlySet<number>;
}

/** What became of the frames of a segment. */
export interface ScoredSegment {
  readonly task: SegmentTask;
  /** The frames that failed in this run. Those that were given up before show a replacement, too. */
  readonly failed: readonly number[];
  /** The time of each scored frame in the model. */
  readonly inferSeconds: ReadonlyMap<number, number>;
  /** Waiting for the source, and for the encoder. */
  readonly decodeSeconds: number;
  readonly encodeSeconds: number;
}

export interface KeptFrame {
  readonly frameIndex: number;
  readonly segment: FrameRange;
  readonly input: FrameBuffer;
  readonly output: FrameBuffer;
}

interface ScoringStages {
  /** The frames of these segments, in order, in buffers of the pool. */
  readonly source: (segments: readonly FrameRange[], pool: FramePool) => AsyncGenerator<FrameBuffer, void>;
  /**
   * Scores a frame from one buffer into another. Returns how long the model took, in seconds. A ModelMismatchError ends the run; with any
   * other error, the frame fails.
   */
  readonly infer: (frameIndex: number, input: FrameBuffer, output: FrameBuffer) => Promise<number>;
  /** Called when a frame has failed. */
  readonly onFailed: (frameIndex: number, reason: string) => void;
  /** Brings an original to the size of the output. */
  readonly fit: (input: FrameBuffer, output: FrameBuffer) => Promise<void>;
  /** Called with each frame in order, once it is scored or replaced. The buffers must not be used after it resolves. */
  readonly keep: (frame: KeptFrame) => Promise<void>;
  readonly openEncoder: () => SegmentEncoder;
  /** Asked once per segment, before `store`. A refused segment is dropped. */
  readonly mayStore: (segment: ScoredSegment) => Promise<boolean>;
  /** One segment at a time, in order. */
  readonly store: (segment: ScoredSegment, bytes: Buffer) => Promise<void>;
  /** Resolves when it is recorded that this careful frame runs next. */
  readonly announce: (frameIndex: number) => Promise<void>;
}

export interface ScoringRun {
  readonly segments: readonly SegmentTask[];
  readonly stages: ScoringStages;
  readonly inputBytes: number;
  readonly outputBytes: number;
  readonly onFailedFrame: FailedFramePolicy;
  /** Aborted: no further frame is started, and a segment that is not complete is dropped. */
  readonly stop: AbortSignal;
}

/** Resolves when all segments are stored, or when the run is stopped. Throws what a stage throws, except for a failed frame. */
export async function scoreSegments(run: ScoringRun): Promise<void> {
  await using scorer = new Scorer(run);
  await scorer.run();
}

/** A frame on its way from the source to the encoder. */
interface FrameInHand {
  readonly frameIndex: number;
  readonly input: FrameBuffer;
  readonly output: FrameBuffer;
  /** How long the model took, or that the frame failed or was not tried. */
  readonly outcome: Promise<number | 'failed' | 'not tried'>;
}

class Scorer implements AsyncDisposable {
  readonly #run: ScoringRun;
  readonly #inputs: FramePool;
  readonly #outputs: FramePool;
  readonly #source: AsyncGenerator<FrameBuffer, void>;
  readonly #encoders = new Set<SegmentEncoder>();
  #storing: Promise<void> = Promise.resolve();

  constructor(run: ScoringRun) {
    const { segments, stages, inputBytes, outputBytes } = run;
    this.#run = run;
    this.#inputs = new FramePool({ buffers: RUNS_AT_ONCE + DECODED_AHEAD, bytesPerBuffer: inputBytes });
    this.#outputs = new FramePool({ buffers: RUNS_AT_ONCE + OUTPUTS_KEPT, bytesPerBuffer: outputBytes });
    const ranges = segments.map(({ frames }) => frames);
    this.#source = readAhead(stages.source(ranges, this.#inputs), this.#inputs);
  }

  async run(): Promise<void> {
    for (const task of this.#run.segments) {
      const encoder = this.#run.stages.openEncoder();
      this.#encoders.add(encoder);
      const scored = await this.#score(task, encoder);
      if (scored === undefined) break;
      if (task === this.#run.segments.at(-1)) await this.#assertSourceEnded();
      await this.#storing;
      this.#storing = this.#finish(scored, encoder);
      this.#storing.catch(() => undefined); // Awaited before the next segment is finished, and at the end.
    }
    await this.#storing;
  }

  /** Passes the frames of a segment to the encoder. Returns what became of them; undefined if the run was stopped before the end. */
  async #score(task: SegmentTask, encoder: SegmentEncoder): Promise<ScoredSegment | undefined> {
    const [frameStart, frameEnd] = task.frames;
    const failed: number[] = [];
    const inferSeconds = new Map<number, number>();
    const timer = { decodeSeconds: 0, encodeSeconds: 0 };
    const inHand: FrameInHand[] = [];
    let previous: FrameBuffer | undefined;
    const encodeOldest = async (): Promise<void> => {
      const frame = inHand.shift();
      if (frame === undefined) return;
      const outcome = await frame.outcome;
      if (typeof outcome === 'number') inferSeconds.set(frame.frameIndex, outcome);
      else await this.#replace(frame, previous);
      if (outcome === 'failed') failed.push(frame.frameIndex);
      await this.#run.stages.keep({ ...frame, segment: task.frames });
      this.#inputs.giveBack(frame.input);
      timer.encodeSeconds += await secondsOf(encoder.write(frame.output));
      if (previous !== undefined) this.#outputs.giveBack(previous);
      previous = frame.output;
    };
    for (let frameIndex = frameStart; frameIndex < frameEnd; frameIndex += 1) {
      const isCareful = task.careful.has(frameIndex);
      while (inHand.length >= (isCareful ? 1 : RUNS_AT_ONCE)) await encodeOldest();
      if (this.#run.stop.aborted) {
        await Promise.allSettled(inHand.map(({ outcome }) => outcome));
        return undefined;
      }
      if (isCareful) await this.#run.stages.announce(frameIndex);
      const decoded = this.#source.next();
      timer.decodeSeconds += await secondsOf(decoded);
      inHand.push(await this.#start(frameIndex, task, (await decoded).value));
      if (isCareful) await encodeOldest();
    }
    while (inHand.length > 0) await encodeOldest();
    if (previous !== undefined) this.#outputs.giveBack(previous);
    return { task, failed, inferSeconds, ...timer };
  }

  /** A source may find only at its end that its frames were not right. */
  async #assertSourceEnded(): Promise<void> {
    const { value: extra } = await this.#source.next();
    if (extra === undefined) return;
    this.#inputs.giveBack(extra);
    throw new RangeError('the source has more frames than the segments');
  }

  async #start(
    frameIndex: number,
    { givenUp }: SegmentTask,
    input: FrameBuffer | void,
  ): Promise<FrameInHand> {
    if (input === undefined) throw new RangeError(`the source ends before frame ${frameIndex}`);
    const output = await this.#outputs.take();
    const outcome = this.#infer(frameIndex, givenUp.has(frameIndex), input, output);
    outcome.catch(() => undefined); // Awaited when the frame is due.
    return { frameIndex, input, output, outcome };
  }

  async #infer(
    frameIndex: number,
    isGivenUp: boolean,
    input: FrameBuffer,
    output: FrameBuffer,
  ): Promise<number | 'failed' | 'not tried'> {
    if (isGivenUp) return 'not tried';
    const { infer, onFailed } = this.#run.stages;
    try {
      return await infer(frameIndex, input, output);
    } catch (error) {
      if (error instanceof ModelMismatchError) throw error;
      onFailed(frameIndex, describeError(error));
      return 'failed';
    }
  }

  /** Writes the replacement of a frame to its output. At the start of a segment there is no previous frame: it shows the original. */
  async #replace({ input, output }: FrameInHand, previous: FrameBuffer | undefined): Promise<void> {
    if (this.#run.onFailedFrame === 'repeat-previous' && previous !== undefined) output.set(previous);
    else await this.#run.stages.fit(input, output);
  }

  async #finish(scored: ScoredSegment, encoder: SegmentEncoder): Promise<void> {
    const { mayStore, store } = this.#run.stages;
    if (await mayStore(scored)) {
      const startedAt = performance.now();
      const bytes = await encoder.finish();
      const encodeSeconds = scored.encodeSeconds + (performance.now() - startedAt) / 1000;
      await store({ ...scored, encodeSeconds }, bytes);
    }
    this.#encoders.delete(encoder);
    await encoder[Symbol.asyncDispose]();
  }

  /** Ends all processes of the run. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#inputs.close();
    this.#outputs.close();
    await Promise.all([...this.#encoders].map((encoder) => encoder[Symbol.asyncDispose]()));
    await this.#storing.catch(() => undefined);
    await this.#source.return().catch(() => undefined);
  }
}

/** Reads from the source before frames are asked for, as far as the pool allows. An error of the source is thrown when its frame is due. */
async function* readAhead(
  source: AsyncGenerator<FrameBuffer, void>,
  pool: FramePool,
): AsyncGenerator<FrameBuffer, void> {
  const ahead: Promise<IteratorResult<FrameBuffer, void>>[] = [];
  const pull = (): void => {
    const next = source.next();
    next.catch(() => undefined);
    ahead.push(next);
  };
  try {
    for (let count = 0; count < DECODED_AHEAD; count += 1) pull();
    for (;;) {
      const next = await ahead.shift();
      if (next === undefined || next.done === true) return;
      pull();
      yield next.value;
    }
  } finally {
    const ended = source.return();
    for (const result of await Promise.allSettled(ahead))
      if (result.status === 'fulfilled' && result.value.done !== true) pool.giveBack(result.value.value);
    await ended.catch(() => undefined);
  }
}

/** Waits, and returns for how long. */
async function secondsOf(work: Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work;
  return (performance.now() - startedAt) / 1000;
}
