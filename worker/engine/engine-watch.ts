/**
 * Notices an engine that hangs. It is told what the engine says of its frames, and calls `onStuck` once when too much time has
 * gone by without a sign of life:
 *
 * loading    a model may take minutes to be built for a device: its own bound
 * computing  native code works on frames and none has come out of it: max(60 s, 10 × the 95th percentile of what they took)
 * otherwise  only storage is waited for, whose calls end by themselves: well beyond their longest
 */
import { PATIENT } from '../../shared/azure/credentials.ts';
import type { Clock } from '../../shared/runtime/clock.ts';

/** Frames whose time in native code is remembered. */
const REMEMBERED = 200;
const PERCENTILE = 0.95;
const TIMES_PERCENTILE = 10;
/** A frame makes two calls to storage. */
const STORAGE_MS = 2 * PATIENT.callTimeoutMs + 30_000;

export interface EngineWatchLimits {
  readonly stuckMs: number;
  readonly loadMs: number;
}

export class EngineWatch implements Disposable {
  readonly #clock: Clock;
  readonly #limits: EngineWatchLimits;
  readonly #recentMs: number[];
  readonly #onStuck: (why: string) => void;
  /** Since when each frame is in native code. */
  readonly #computing = new Map<number, number>();
  #isLoading = true;
  #timer: NodeJS.Timeout | undefined;

  /** `recentMs` is the memory of one engine's runs: kept by the caller, written here. */
  constructor(parts: {
    readonly clock: Clock;
    readonly limits: EngineWatchLimits;
    readonly recentMs: number[];
    readonly onStuck: (why: string) => void;
  }) {
    this.#clock = parts.clock;
    this.#limits = parts.limits;
    this.#recentMs = parts.recentMs;
    this.#onStuck = parts.onStuck;
    this.#wait();
  }

  /** Frames that native code is working on, the longest first. */
  get computing(): readonly number[] {
    return [...this.#computing.keys()];
  }

  loaded(): void {
    this.#isLoading = false;
    this.#wait();
  }

  frameComputing(frameIndex: number): void {
    this.#computing.set(frameIndex, this.#clock.monotonicMs());
    if (this.#computing.size === 1) this.#wait();
  }

  frameComputed(frameIndex: number): void {
    const sinceMs = this.#computing.get(frameIndex);
    if (sinceMs === undefined) return;
    this.#computing.delete(frameIndex);
    this.#recentMs.push(this.#clock.monotonicMs() - sinceMs);
    if (this.#recentMs.length > REMEMBERED) this.#recentMs.shift();
    this.#wait();
  }

  /** Stored or failed: any sign of life will do. */
  frameEnded(frameIndex: number): void {
    this.frameComputed(frameIndex);
    this.#wait();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #wait(): void {
    clearTimeout(this.#timer);
    const [boundMs, doing] = this.#bound();
    this.#timer = setTimeout(() => {
      this.#onStuck(`${doing} for ${Math.round(boundMs / 1000)} s without a sign of life`);
    }, boundMs);
  }

  #bound(): readonly [number, string] {
    const stuckMs = Math.max(this.#limits.stuckMs, TIMES_PERCENTILE * percentile(this.#recentMs, PERCENTILE));
    if (this.#isLoading) return [this.#limits.loadMs, 'loading the model'];
    if (this.#computing.size > 0) return [stuckMs, 'computing'];
    return [Math.max(stuckMs, STORAGE_MS), 'waiting for storage'];
  }
}

/** The smallest value that so large a share of the values do not exceed; 0 where there are none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}
