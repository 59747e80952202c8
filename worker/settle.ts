/**
 * How a delivery ends. PURE.
 *
 * complete  every frame is stored or has failed for good: send the result, delete the message
 * release   something is left to do: one Update Message with this delivery's history, visible now or after a delay
 * poison    deliveries get nowhere: copy to the poison queue, tell the job, delete
 * leave     the lease is lost, or may be: touch nothing
 *
 * `dequeueCount` is not a failure count: evictions, crashes and lost answers raise it. What counts is whether deliveries get
 * anywhere, and how often each frame has failed.
 */
import { BATCH_HISTORY_FAILURES_MAX } from '../shared/contract/limits.ts';
import { type BatchMessage, type FailureKind, cutText } from '../shared/contract/messages.ts';
import type { FrameFailed } from './engine/protocol.ts';

/** Tries of a frame whose failure may pass. */
const FRAME_ATTEMPTS_MAX = 3;
/** A frame may be missing once: the listing or the put may be late. */
const MISSING_ATTEMPTS_MAX = 2;
/** Deliveries in a row that stored nothing, after which the batch is given up. */
const BARREN_DELIVERIES_MAX = 8;
/** Deliveries that ended without a word (killed workers), beyond which a batch is suspected of killing them. */
const SILENT_DELIVERIES_MAX = 32;

const DELAY_SECONDS_BASE = 2;
const DELAY_SECONDS_MAX = 60;

export interface Delivery {
  readonly batch: BatchMessage;
  readonly worker: string;
  /** Deliveries of this message that no release accounts for, this one included. */
  readonly unreleased: number;
  readonly leaseLost: boolean;
  /** Why the run ended before its last frame, if it did. */
  readonly interruption: 'draining' | { readonly engine: string } | null;
  /** Frames of the batch whose output is stored, whoever stored it. */
  readonly scored: ReadonlySet<number>;
  /** How many of them this delivery stored. */
  readonly newlyStored: number;
  readonly failed: readonly FrameFailed[];
}

export type Decision =
  | { readonly kind: 'complete'; readonly failed: readonly FrameFailed[] }
  | { readonly kind: 'release'; readonly delaySeconds: number; readonly history: BatchMessage['history'] }
  | { readonly kind: 'poison'; readonly reason: string; readonly failed: readonly FrameFailed[] }
  | { readonly kind: 'leave' };

export function settle(delivery: Delivery): Decision {
  const { batch, unreleased, leaseLost, interruption, scored, newlyStored, failed } = delivery;
  if (leaseLost) return { kind: 'leave' };

  const attempts = countAttempts(delivery);
  const givenUp = failed.filter(
    ({ frameIndex, kind }) => (attempts.get(frameIndex) ?? 1) >= attemptsMax(kind),
  );
  const resolved = new Set([...scored, ...givenUp.map(({ frameIndex }) => frameIndex)]);
  const left = framesOf(batch).filter((frameIndex) => !resolved.has(frameIndex));
  if (left.length === 0) return { kind: 'complete', failed: givenUp };

  const history = {
    ...batch.history,
    releases: batch.history.releases + 1,
    failures: failuresOf(delivery, attempts),
  };
  if (interruption === 'draining') {
    const before = newlyStored > 0 ? 0 : batch.history.barren;
    return { kind: 'release', delaySeconds: 0, history: { ...history, barren: before } };
  }
  const barren = newlyStored > 0 ? 0 : batch.history.barren + 1;
  if (barren >= BARREN_DELIVERIES_MAX || isSuspect(unreleased)) {
    const reason = cutText(
      interruption === null ? (failed[0]?.message ?? 'no progress') : interruption.engine,
    );
    const rest = left.map((frameIndex): FrameFailed => {
      const known = failed.find((failure) => failure.frameIndex === frameIndex);
      return known ?? { frameIndex, kind: 'engine', message: reason };
    });
    return { kind: 'poison', reason, failed: [...givenUp, ...rest] };
  }
  const delaySeconds = Math.min(DELAY_SECONDS_MAX, barren === 0 ? 0 : DELAY_SECONDS_BASE ** barren);
  return { kind: 'release', delaySeconds, history: { ...history, barren } };
}

/** A batch that so many workers took and never spoke of again is not given to another engine. */
export function isSuspect(unreleased: number): boolean {
  return unreleased > SILENT_DELIVERIES_MAX;
}

function attemptsMax(kind: FailureKind): number {
  switch (kind) {
    case 'undecodable':
    case 'message':
      return 1;
    case 'missing':
      return MISSING_ATTEMPTS_MAX;
    case 'inference':
    case 'storage':
    case 'engine':
      return FRAME_ATTEMPTS_MAX;
  }
}

/** Per failed frame, how often it has failed in this way, this delivery included. */
function countAttempts({ batch, failed }: Delivery): Map<number, number> {
  return new Map(
    failed.map(({ frameIndex, kind }) => {
      const before = batch.history.failures.find((one) => one.frameIndex === frameIndex && one.kind === kind);
      return [frameIndex, (before?.attempts ?? 0) + 1];
    }),
  );
}

/** The history of failing frames: those of this delivery, and earlier ones of frames not tried again since. */
function failuresOf({ batch, worker, failed, scored }: Delivery, attempts: ReadonlyMap<number, number>) {
  const now = failed.map(({ frameIndex, kind }) => ({
    frameIndex,
    kind,
    attempts: attempts.get(frameIndex) ?? 1,
    worker,
  }));
  const before = batch.history.failures.filter(
    ({ frameIndex }) => !attempts.has(frameIndex) && !scored.has(frameIndex),
  );
  return [...now, ...before].slice(0, BATCH_HISTORY_FAILURES_MAX);
}

export function framesOf({ frameStart, frameEnd }: Pick<BatchMessage, 'frameStart' | 'frameEnd'>): number[] {
  return Array.from({ length: frameEnd - frameStart }, (_, offset) => frameStart + offset);
}
