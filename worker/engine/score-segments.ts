/**
 * Scores consecutive frames and encodes them as segments: source → model → encoder, all at work at the same time on different frames.
 *
 * Frames reach the model and the encoder in order, in micro-batches: one on the device, one waiting for it, one being decoded. While the
 * encoder drains a segment and the segment is stored, the next one is already scored. Memory is bounded by two pools of frames and two
 * encoded segments.
 *
 * A frame that fails shows a replacement, as the job's policy says: the original, or the previous frame of its segment. Whether the
 * segment is stored with it, or tried again, is for `mayStore` to decide. A frame that is given up is not tried. A careful frame
 * is announced before it runs, with no other frame on the device. A micro-batch ends before such frames and at the end of its segment.
 *
 * A warm-up is a segment that the model sees only for its state: its frames are dropped, and it does not matter if one fails.
 */
import type { FailedFramePolicy } from '../../shared/contract/encoding.ts';
import { type FrameRange, countOf, indicesOf } from '../../shared/contract/ranges.ts';
import { type FrameBuffer, FramePool } from './frame-pool.ts';
import { BATCHES_IN_MEMORY, type MicroBatchSize } from './micro-batch-size.ts';
import { type FrameInBuffers, type InferStages, scoreTogether } from './micro-batch.ts';
import { ReadAhead } from './read-ahead.ts';

/** Micro-batches: one on the device, and one in the queue of its thread. */
const RUNS_AT_ONCE = 2;
/** The least, in frames, besides those on the device. Of larger frames there are fewer. */
const DECODED_AHEAD = 4;
const DECODED_AHEAD_BYTES_MAX = 128 * 1024 * 1024;
/** The least, in frames, besides those on the device: one in the encoder's pipe, and the previous frame. */
const OUTPUTS_KEPT = 2;
/** Enough to receive the next batch, to fetch its first piece and to start a decoder. */
const NEARLY_SCORED_MS = 1_500;

export interface SegmentTask {
  readonly frames: FrameRange;
  readonly givenUp: ReadonlySet<number>;
  readonly careful: ReadonlySet<number>;
  readonly isWarmUp?: boolean;
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
  readonly input: FrameBuffer;
  readonly output: FrameBuffer;
  /** It failed, or was not tried. */
  readonly isReplaced: boolean;
}

/** Makes the bytes of a segment from its frames, which it receives in order. Disposing of it ends what it has started. */
export interface FrameEncoder extends AsyncDisposable {
  /** The buffer must not change until it resolves. */
  write(output: FrameBuffer, frameIndex: number): Promise<void>;
  finish(): Promise<Buffer>;
}

interface ScoringStages extends InferStages {
  /** The frames of these segments, in order, in buffers of the pool. */
  readonly source: (segments: readonly FrameRange[], pool: FramePool) => AsyncGenerator<FrameBuffer, void>;
  /** Brings an original to the size of the output. */
  readonly fit: (input: FrameBuffer, output: FrameBuffer) => Promise<void>;
  /** Called with each frame in order, once it is scored or replaced. The buffers must not be used after it resolves. */
  readonly keep: (frame: KeptFrame) => Promise<void>;
  readonly openEncoder: () => FrameEncoder;
  /** Asked once per segment, before `store`. A refused segment is dropped. */
  readonly mayStore: (segment: ScoredSegment) => Promise<boolean>;
  /** One segment at a time, in order. */
  readonly store: (segment: ScoredSegment, bytes: Buffer) => Promise<void>;
  /** Resolves when it is recorded that this careful frame runs next. */
  readonly announce: (frameIndex: number) => Promise<void>;
  /** Called once, about NEARLY_SCORED_MS before the last frame is scored, or when all frames are decoded. */
  readonly onNearlyScored: () => void;
  /** Called when no more frames go to the device. */
  readonly onScored: () => void;
}

export interface ScoringRun {
  readonly segments: readonly SegmentTask[];
  readonly stages: ScoringStages;
  readonly inputBytes: number;
  readonly outputBytes: number;
  readonly microBatch: MicroBatchSize;
  readonly onFailedFrame: FailedFramePolicy;
  /** Resolves when the device is free for these frames. Until then, frames are decoded. */
  readonly turn: Promise<void>;
  /** Aborted: no further frame is started, and a segment that is not complete is dropped. */
  readonly stop: AbortSignal;
}

/** Resolves when all segments are stored, or when the run is stopped. Throws what a stage throws, except for a failed frame. */
export async function scoreSegments(run: ScoringRun): Promise<void> {
  await using scorer = new Scorer(run);
  await scorer.run();
}

/** A micro-batch on its way to the encoder: each frame with how long the model took, or that it failed or was not tried. */
type BatchInHand = Promise<readonly (readonly [FrameInBuffers, number | 'failed' | 'not tried'])[]>;

class Scorer implements AsyncDisposable {
  readonly #run: ScoringRun;
  readonly #inputs: FramePool;
  readonly #outputs: FramePool;
  readonly #source: ReadAhead;
  readonly #encoders = new Set<FrameEncoder>();
  #storing: Promise<void> = Promise.resolve();
  /** How many frames the source has given: their buffers come in turn. */
  #started = 0;
  #firstStartedAtMs = 0;
  #isNearlyScored = false;

  constructor(run: ScoringRun) {
    const { segments, stages, inputBytes, outputBytes, microBatch } = run;
    this.#run = run;
    // Multiples of a micro-batch: a whole one does not lie at the end and the start of a pool.
    const [onDevice, inMemory] = [RUNS_AT_ONCE * microBatch.frames, BATCHES_IN_MEMORY * microBatch.frames];
    const ahead = Math.min(DECODED_AHEAD, Math.max(1, Math.floor(DECODED_AHEAD_BYTES_MAX / inputBytes)));
    const inputs = Math.max(RUNS_AT_ONCE + ahead, inMemory);
    const outputs = Math.max(RUNS_AT_ONCE + OUTPUTS_KEPT, inMemory);
    this.#inputs = new FramePool({ buffers: inputs, bytesPerBuffer: inputBytes });
    this.#outputs = new FramePool({ buffers: outputs, bytesPerBuffer: outputBytes });
    const ranges = segments.map(({ frames }) => frames);
    this.#source = new ReadAhead(stages.source(ranges, this.#inputs), this.#inputs, inputs - onDevice);
  }

  async run(): Promise<void> {
    await this.#run.turn;
    for (const task of this.#run.segments) {
      const encoder = task.isWarmUp === true ? undefined : this.#openEncoder();
      const scored = await this.#score(task, encoder);
      if (scored === undefined) break;
      if (task === this.#run.segments.at(-1)) await this.#assertSourceEnded();
      if (encoder === undefined) continue;
      await this.#storing;
      this.#storing = this.#finish(scored, encoder);
      this.#storing.catch(() => undefined); // Awaited before the next segment is finished, and at the end.
    }
    await this.#storing;
  }

  #openEncoder(): FrameEncoder {
    const encoder = this.#run.stages.openEncoder();
    this.#encoders.add(encoder);
    return encoder;
  }

  /**
   * Passes the frames of a segment to the encoder, if there is one. Returns what became of them; undefined if the run was stopped before the
   * end.
   */
  async #score(task: SegmentTask, encoder: FrameEncoder | undefined): Promise<ScoredSegment | undefined> {
    const { stages, stop } = this.#run;
    const [frameStart, frameEnd] = task.frames;
    const failed: number[] = [];
    const inferSeconds = new Map<number, number>();
    const timer = { decodeSeconds: 0, encodeSeconds: 0 };
    const inHand: BatchInHand[] = [];
    let previous: FrameBuffer | undefined;
    const encode = async (frame: FrameInBuffers, outcome: number | 'failed' | 'not tried'): Promise<void> => {
      if (encoder === undefined) {
        this.#inputs.giveBack(frame.input);
        this.#outputs.giveBack(frame.output);
        return;
      }
      if (typeof outcome === 'number') inferSeconds.set(frame.frameIndex, outcome);
      else await this.#replace(frame, previous);
      if (outcome === 'failed') failed.push(frame.frameIndex);
      await stages.keep({ ...frame, isReplaced: typeof outcome !== 'number' });
      this.#inputs.giveBack(frame.input);
      timer.encodeSeconds += await secondsOf(encoder.write(frame.output, frame.frameIndex));
      if (previous !== undefined) this.#outputs.giveBack(previous);
      previous = frame.output;
    };
    const encodeOldest = async (): Promise<void> => {
      for (const [frame, outcome] of (await inHand.shift()) ?? []) await encode(frame, outcome);
    };
    let nextFrame = frameStart;
    while (nextFrame < frameEnd) {
      const isCareful = task.careful.has(nextFrame);
      while (inHand.length >= (isCareful ? 1 : RUNS_AT_ONCE)) await encodeOldest();
      if (stop.aborted) {
        await Promise.allSettled(inHand);
        return undefined;
      }
      if (isCareful) await stages.announce(nextFrame);
      const frames: FrameInBuffers[] = [];
      for (const frameIndex of indicesOf([this.#nextBatch(nextFrame, task)])) {
        const decoded = this.#source.next();
        timer.decodeSeconds += await secondsOf(decoded);
        const input = await decoded;
        if (input === undefined) throw new RangeError(`the source ends before frame ${frameIndex}`);
        frames.push({ frameIndex, input, output: await this.#outputs.take() });
      }
      if (this.#started === 0) this.#firstStartedAtMs = performance.now();
      inHand.push(this.#infer(frames, task));
      nextFrame += frames.length;
      this.#started += frames.length;
      this.#checkNearlyScored();
      if (this.#framesLeft === 0) void Promise.allSettled(inHand).then(stages.onScored);
      if (isCareful) await encodeOldest();
    }
    while (inHand.length > 0) await encodeOldest();
    if (previous !== undefined) this.#outputs.giveBack(previous);
    return { task, failed, inferSeconds, ...timer };
  }

  /** Not given to the device yet. */
  get #framesLeft(): number {
    return countOf(this.#run.segments.map(({ frames }) => frames)) - this.#started;
  }

  #checkNearlyScored(): void {
    if (this.#isNearlyScored) return;
    const frameMs = (performance.now() - this.#firstStartedAtMs) / this.#started;
    if (this.#framesLeft * frameMs > NEARLY_SCORED_MS) return;
    this.#isNearlyScored = true;
    this.#run.stages.onNearlyScored();
  }

  /** The frames from this one on that run together. */
  #nextBatch(frameStart: number, { frames, careful, givenUp }: SegmentTask): FrameRange {
    const isApart = (frameIndex: number): boolean => careful.has(frameIndex) || givenUp.has(frameIndex);
    if (isApart(frameStart)) return [frameStart, frameStart + 1];
    const size = this.#run.microBatch.frames;
    // A short micro-batch first, if that makes the following ones whole in the pools.
    const most: FrameRange = [frameStart, Math.min(frameStart + size - (this.#started % size), frames[1])];
    return [frameStart, [...indicesOf([most])].find(isApart) ?? most[1]];
  }

  /** A source may find only at its end that its frames were not right. */
  async #assertSourceEnded(): Promise<void> {
    const extra = await this.#source.next();
    if (extra === undefined) return;
    this.#inputs.giveBack(extra);
    throw new RangeError('the source has more frames than the segments');
  }

  #infer(frames: readonly FrameInBuffers[], { givenUp, isWarmUp }: SegmentTask): BatchInHand {
    if (frames.some(({ frameIndex }) => givenUp.has(frameIndex)))
      return Promise.resolve(frames.map((frame) => [frame, 'not tried'] as const));
    const { stages, microBatch } = this.#run;
    const outcomes = scoreTogether(
      frames,
      microBatch,
      isWarmUp === true ? { ...stages, onFailed: () => undefined } : stages,
    );
    outcomes.catch(() => undefined); // Awaited when the frames are due.
    return outcomes;
  }

  /** Writes the replacement of a frame to its output. At the start of a segment there is no previous frame: it shows the original. */
  async #replace({ input, output }: FrameInBuffers, previous: FrameBuffer | undefined): Promise<void> {
    if (this.#run.onFailedFrame === 'repeat-previous' && previous !== undefined) output.set(previous);
    else await this.#run.stages.fit(input, output);
  }

  async #finish(scored: ScoredSegment, encoder: FrameEncoder): Promise<void> {
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
    await this.#source[Symbol.asyncDispose]();
  }
}

/** Waits, and returns for how long. */
async function secondsOf(work: Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work;
  return (performance.now() - startedAt) / 1000;
}
