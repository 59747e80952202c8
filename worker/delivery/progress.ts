/**
 * What became of the frames and segments of one delivery, written while the engine runs. `work-batch` runs the segments; `settle-batch`
 * reads the outcome when the delivery ends.
 */
import type { FailedFrame } from '../../shared/contract/failed-frame.ts';
import { cutText } from '../../shared/contract/messages.ts';
import { type FrameRange, indicesOf } from '../../shared/contract/ranges.ts';
import type { EngineSegment, ScoredFrame } from '../engine/protocol.ts';
import { type RunPlan, planRuns } from './next-run.ts';
import type { FramesInStorage, SegmentInStorage } from './resolved-frames.ts';

const ENGINE_DIED = 'the engine died while processing this frame';

export class DeliveryProgress {
  /** By first frame: found in storage, or stored since. */
  readonly #stored: Map<number, SegmentInStorage>;
  /** The first frames of segments that this delivery does not run again: a frame in them must be tried by another delivery. */
  readonly #left = new Set<number>();
  /** Frames given up before, with null, or by this delivery, with the reason. */
  readonly #givenUp: Map<number, FailedFrame | null>;
  /** Frames that failed in this delivery, with their attempts in it. */
  readonly #failed = new Map<number, FailedFrame>();
  /** Frames that this delivery scored, in segments that are stored. */
  readonly scored: ScoredFrame[] = [];
  /** Frames that native code is done with, in segments that are not stored yet. */
  readonly #computed = new Set<number>();
  /** What is left to run, with the engine deaths so far. */
  runPlan: RunPlan = planRuns([]);
  lastDeath: string | null = null;

  constructor(found: FramesInStorage) {
    this.#stored = new Map(found.stored.map((segment) => [segment.frames[0], segment]));
    this.#givenUp = new Map([...found.givenUp].map((frameIndex) => [frameIndex, null]));
  }

  get givenUp(): ReadonlyMap<number, FailedFrame | null> {
    return this.#givenUp;
  }

  giveUp(frames: readonly FailedFrame[]): void {
    for (const frame of frames) this.#givenUp.set(frame.frameIndex, frame);
  }

  /** Counts a failed attempt. */
  recordFailed(frame: FailedFrame): void {
    const before = this.#failed.get(frame.frameIndex);
    const attempts = frame.attempts + (before?.kind === frame.kind ? before.attempts : 0);
    this.#failed.set(frame.frameIndex, { ...frame, attempts });
  }

  recordComputed(frameIndex: number): void {
    this.#computed.add(frameIndex);
  }

  /** How many frames are scored in segments that are not stored yet. */
  get underway(): number {
    return this.#computed.size;
  }

  recordStored({ frames, failed, scored }: EngineSegment): void {
    for (const frameIndex of indicesOf([frames])) this.#computed.delete(frameIndex);
    this.#stored.set(frames[0], { frames, failed });
    this.scored.push(...scored);
  }

  leaveForNextDelivery(segment: FrameRange): void {
    for (const frameIndex of indicesOf([segment])) this.#computed.delete(frameIndex);
    this.#left.add(segment[0]);
  }

  /** Whether this delivery still has to run the segment. */
  isOpen([frameStart]: FrameRange): boolean {
    return !this.#stored.has(frameStart) && !this.#left.has(frameStart);
  }

  /** All frames of stored segments, and those of them that show a replacement. */
  storedFrames(): { readonly all: ReadonlySet<number>; readonly replaced: ReadonlySet<number> } {
    const segments = [...this.#stored.values()];
    return {
      all: new Set(indicesOf(segments.map(({ frames }) => frames))),
      replaced: new Set(segments.flatMap(({ failed }) => failed)),
    };
  }

  /** Each frame that failed in this delivery, with its attempts in it. Includes frames that an engine died with. */
  failures(): FailedFrame[] {
    const { deathsOf } = this.runPlan;
    const suspected = [...deathsOf].map(([frameIndex, deaths]) => this.fatalFrame(frameIndex, deaths));
    return [...this.#failed.values(), ...suspected];
  }

  /** A frame that engines died with. */
  fatalFrame(frameIndex: number, deaths: number): FailedFrame {
    return {
      frameIndex,
      kind: 'engine',
      message: cutText(this.lastDeath ?? ENGINE_DIED),
      attempts: deaths,
    };
  }
}
