/**
 * Detects an engine that hangs. It follows the engine's reports and calls `onStuck` once if there is no progress
 * within a bound that depends on what the engine is doing:
 *
 * loading    a device may need minutes to build a model: a bound of its own
 * computing  native code has frames: max(60 s, 10 × the 95th percentile of the times that frames took, for each frame of a micro-batch);
 *            60 s for each frame of a micro-batch before one has been computed
 * otherwise  the engine waits for storage, whose calls have a time-out, or for ffmpeg: well beyond the longest call
 */
import { PATIENT } from '../../shared/azure/credentials.ts';
import { type FrameRange, countOf, indicesOf } from '../../shared/contract/ranges.ts';
import type { Clock } from '../../shared/runtime/clock.ts';

/** Runs of the model whose time is kept. */
const RECENT_MAX = 200;
const PERCENTILE = 0.95;
const TIMES_PERCENTILE = 10;
/** A segment needs two calls to storage. */
const STORAGE_MS = 2 * PATIENT.callTimeoutMs + 30_000;

export interface EngineWatchLimits {
  readonly stuckMs: number;
  readonly loadMs: number;
}

export interface EngineWatchOptions {
  readonly clock: Clock;
  readonly limits: EngineWatchLimits;
  /** Times in native code, divided by the frames that ran together. Kept by the caller across the runs of an engine; written here. */
  readonly recentMs: number[];
  readonly onStuck: (why: string) => void;
}

export class EngineWatch implements Disposable {
  readonly #clock: Clock;
  readonly #limits: EngineWatchLimits;
  readonly #recentMs: number[];
  readonly #onStuck: (why: string) => void;
  /** By the first of the frames that run together. */
  readonly #computing = new Map<number, { readonly frames: FrameRange; readonly sinceMs: number }>();
  #isLoading = true;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: EngineWatchOptions) {
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#recentMs = options.recentMs;
    this.#onStuck = options.onStuck;
    this.#restartTimer();
  }

  /** Frames that native code is working on, oldest first. */
  get computing(): readonly number[] {
    return [...indicesOf([...this.#computing.values()].map(({ frames }) => frames))];
  }

  loaded(): void {
    this.#isLoading = false;
    this.#restartTimer();
  }

  framesComputing(frames: FrameRange): void {
    this.#computing.set(frames[0], { frames, sinceMs: this.#clock.monotonicMs() });
    if (this.#computing.size === 1) this.#restartTimer();
  }

  framesComputed(frames: FrameRange): void {
    const started = this.#computing.get(frames[0]);
    if (started === undefined) return;
    this.#computing.delete(frames[0]);
    this.#recentMs.push((this.#clock.monotonicMs() - started.sinceMs) / countOf([frames]));
    if (this.#recentMs.length > RECENT_MAX) this.#recentMs.shift();
    this.#restartTimer();
  }

  segmentStored(): void {
    this.#restartTimer();
  }

  /** The engine waited for the worker. */
  answered(): void {
    this.#restartTimer();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #restartTimer(): void {
    clearTimeout(this.#timer);
    const [boundMs, activity] = this.#bound();
    this.#timer = setTimeout(() => {
      this.#onStuck(`${activity} for ${Math.round(boundMs / 1000)} s without progress`);
    }, boundMs);
  }

  #bound(): readonly [number, string] {
    const { loadMs, stuckMs } = this.#limits;
    if (this.#isLoading) return [loadMs, 'loading the model'];
    const usualMs = percentile(this.#recentMs, PERCENTILE);
    const [oldest] = this.#computing.values();
    if (oldest === undefined)
      return [Math.max(stuckMs, TIMES_PERCENTILE * usualMs, STORAGE_MS), 'waiting for storage or ffmpeg'];
    const together = countOf([oldest.frames]);
    const boundMs =
      this.#recentMs.length === 0
        ? stuckMs * together
        : Math.max(stuckMs, TIMES_PERCENTILE * usualMs * together);
    return [boundMs, 'computing'];
  }
}

/** The smallest value that the given share of the values does not exceed; 0 if there are no values. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}
