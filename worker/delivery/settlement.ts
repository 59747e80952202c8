/**
 * How a delivery is settled. PURE.
 *
 * complete  every segment is stored: report to the job, delete the message
 * release   segments are left: write this delivery into the history and make the message visible, now or after a delay
 * poison    what is left cannot be stored: give up its frames, report to the job, delete the message
 * mismatch  a piece does not hold what the plan says: report it to the job, which is split again, and delete the message
 * drop      the job was cancelled: delete the message without a report
 * leave     the lease is lost, or may be: touch nothing
 *
 * `dequeueCount` is not a failure count: evictions, crashes and lost answers raise it. What counts is whether deliveries make
 * progress, and how often each frame has failed. An outage of storage is not a failure of the batch. A batch that is given up is released
 * once more, with all its frames given up, so that its segments are stored with replacements.
 */
import type { FailedFrame } from '../../shared/contract/failed-frame.ts';
import { BATCH_FRAMES_MAX } from '../../shared/contract/limits.ts';
import { type BatchMessage, cutText, releasedUnstarted } from '../../shared/contract/messages.ts';
import {
  type BatchHistory,
  type PastFailure,
  attemptsMax,
  failuresByFrame,
  toHistoryFailures,
} from './history.ts';

/** After this many consecutive deliveries without progress, the batch is given up. */
const BARREN_DELIVERIES_MAX = 8;
/** Deliveries that did not end in a release. Each may have stored one frame, so this is only the outermost bound. */
const UNRELEASED_DELIVERIES_MAX = 2 * BATCH_FRAMES_MAX;
/** One day of releases, 20 s apart, because storage does not deliver what is left. After that it is no outage. */
const DELIVERIES_MAX = 4_320;

/** If this many workers cannot load a model, the model is at fault: they do not all have the same defect. */
const REFUSALS_TO_FAIL_MODEL = 2;
/** A fleet of one worker gives a model up after this many deliveries, which are 2, 4 and 8 s apart. */
const MODEL_DELIVERIES_MAX = 4;

const BARREN_DELAY_SECONDS_BASE = 2;
const BARREN_DELAY_SECONDS_MAX = 60;
/** How long another worker has before the one that failed may try again. */
const PASS_ON_SECONDS = 3;
/** During a storage outage. Spread out, so that all batches do not return in the same second. */
const STORAGE_DELAY_SECONDS_MIN = 10;
const STORAGE_DELAY_SECONDS_SPREAD = 20;

/** Interruptions that do not count against the batch. */
const EXCUSED = new Set<RunInterruption['kind']>(['draining', 'passing-on', 'storage']);
/** After these, another worker should try. */
const PASSED_ON = new Set<RunInterruption['kind']>(['passing-on', 'piece']);

/** Why a run ended before its last segment. */
export type RunInterruption =
  | { readonly kind: 'draining' }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'passing-on' }
  | { readonly kind: 'storage' | 'engine' | 'piece'; readonly message: string }
  | { readonly kind: 'model'; readonly message: string; readonly isPermanent: boolean };

/** How a delivery went: everything that the settlement depends on. */
export interface DeliveryOutcome {
  /** With its history as of the start of this delivery. */
  readonly batch: BatchMessage;
  readonly worker: string;
  readonly dequeueCount: number;
  readonly leaseLost: boolean;
  readonly interruption: RunInterruption | null;
  /** Frames given up until now. Their segments may be stored or not. */
  readonly givenUp: ReadonlySet<number>;
  /** All frames of stored segments, by any worker. */
  readonly stored: ReadonlySet<number>;
  /** How many frames this delivery scored and stored. */
  readonly newlyStored: number;
  /** Frames that failed in this delivery, with their attempts in this delivery. */
  readonly failures: readonly FailedFrame[];
}

/** `givenUp` are the frames that the settlement gives up, with their attempts in all deliveries. */
export type Settlement =
  | { readonly kind: 'complete' }
  | { readonly kind: 'drop' }
  | { readonly kind: 'mismatch'; readonly message: string }
  | {
      readonly kind: 'release';
      readonly givenUp: readonly FailedFrame[];
      readonly delaySeconds: number;
      readonly history: BatchHistory;
    }
  | { readonly kind: 'poison'; readonly givenUp: readonly FailedFrame[] }
  | { readonly kind: 'leave' };

export function chooseSettlement(outcome: DeliveryOutcome): Settlement {
  const { batch, dequeueCount, leaseLost, interruption, stored, worker } = outcome;
  if (leaseLost) return { kind: 'leave' };
  if (interruption?.kind === 'cancelled') return { kind: 'drop' };
  if (framesOf(batch).every((frameIndex) => stored.has(frameIndex))) return { kind: 'complete' };
  if (interruption?.kind === 'piece' && batch.history.passedOnBy !== null)
    return { kind: 'mismatch', message: interruption.message };

  // A frame that failed may have been scored since, in another run of its segment.
  const failures = outcome.failures.filter(
    ({ frameIndex }) => !outcome.givenUp.has(frameIndex) && !stored.has(frameIndex),
  );
  const totals = addToHistory(batch.history, failures, worker);
  const givenUp = exhaustedFrames(batch.history, failures, worker);
  const resolved = new Set([...stored, ...outcome.givenUp, ...givenUp.map(({ frameIndex }) => frameIndex)]);
  const hasProgressed = resolved.size > batch.history.resolved;
  const isExcused = interruption !== null && EXCUSED.has(interruption.kind);
  const barren = hasProgressed ? 0 : batch.history.barren + (isExcused ? 0 : 1);
  const unreleased = dequeueCount - batch.history.releases;
  const refusedBy = workersThatRefused(outcome);
  const isPermanent =
    interruption?.kind === 'model' &&
    (interruption.isPermanent ||
      refusedBy.length >= REFUSALS_TO_FAIL_MODEL ||
      barren >= MODEL_DELIVERIES_MAX);
  const isBarren = barren >= BARREN_DELIVERIES_MAX && !isExcused;
  const isEndless = unreleased > UNRELEASED_DELIVERIES_MAX || dequeueCount > DELIVERIES_MAX;
  const history: BatchHistory = {
    releases: batch.history.releases + 1,
    deliveries: dequeueCount,
    resolved: resolved.size,
    barren,
    failures: toHistoryFailures(totals, resolved),
    carefulFrame: null,
    refusedBy,
    passedOnBy: interruption !== null && PASSED_ON.has(interruption.kind) ? worker : null,
  };
  if (!isPermanent && !isBarren && !isEndless)
    return { kind: 'release', givenUp, delaySeconds: delaySecondsOf(outcome, barren), history };

  const left = framesOf(batch).filter((frameIndex) => !resolved.has(frameIndex));
  const all = [...givenUp, ...left.map((frameIndex) => giveUpWithBatch(frameIndex, outcome, totals))];
  // A job whose model cannot be used fails, so nothing has to be replaced.
  const isFinal = isPermanent || isEndless || left.length === 0;
  if (isFinal) return { kind: 'poison', givenUp: all };
  const resolvedNow = resolved.size + left.length;
  const fresh = { ...history, resolved: resolvedNow, barren: 0, failures: [], passedOnBy: null };
  return { kind: 'release', givenUp: all, delaySeconds: 0, history: fresh };
}

/** The frames that have used up their attempts with these failures, with their attempts in all deliveries. */
export function exhaustedFrames(
  history: BatchHistory,
  failures: readonly FailedFrame[],
  worker: string,
): FailedFrame[] {
  const totals = addToHistory(history, failures, worker);
  return failures.flatMap(({ frameIndex, kind, message }) => {
    const attempts = totals.get(frameIndex)?.attempts ?? 1;
    return attempts >= attemptsMax(kind) ? [{ frameIndex, kind, message, attempts }] : [];
  });
}

/**
 * The release of a delivery that could not start, because storage did not list its frames. It counts this
 * delivery only; earlier unrecorded ones stay uncounted.
 */
export function releaseUnstarted(outcome: Pick<DeliveryOutcome, 'batch' | 'dequeueCount'>): {
  readonly delaySeconds: number;
  readonly history: BatchHistory;
} {
  return {
    delaySeconds: storageDelaySeconds(outcome),
    history: releasedUnstarted(outcome.batch.history),
  };
}

export function framesOf({ frameStart, frameEnd }: Pick<BatchMessage, 'frameStart' | 'frameEnd'>): number[] {
  return Array.from({ length: frameEnd - frameStart }, (_, offset) => frameStart + offset);
}

/** Workers that could not load the model, including this one. */
function workersThatRefused({ batch, interruption, worker }: DeliveryOutcome): string[] {
  const { refusedBy } = batch.history;
  return interruption?.kind === 'model' ? [...new Set([...refusedBy, worker])] : [...refusedBy];
}

/** All failures so far. A frame that fails in another way than before starts again at its new attempts. */
function addToHistory(
  history: BatchHistory,
  failures: readonly FailedFrame[],
  worker: string,
): Map<number, PastFailure> {
  const totals = failuresByFrame(history);
  for (const { frameIndex, kind, attempts } of failures) {
    const before = totals.get(frameIndex);
    totals.set(frameIndex, {
      kind,
      attempts: (before?.kind === kind ? before.attempts : 0) + attempts,
      worker,
    });
  }
  return totals;
}

/** A frame that is given up because its batch is. */
function giveUpWithBatch(
  frameIndex: number,
  { interruption, failures, batch }: DeliveryOutcome,
  totals: ReadonlyMap<number, PastFailure>,
): FailedFrame {
  const own = failures.find((failure) => failure.frameIndex === frameIndex);
  const attempts = Math.max(1, totals.get(frameIndex)?.attempts ?? 1);
  if (own !== undefined) return { frameIndex, kind: own.kind, message: own.message, attempts };
  const kind =
    interruption?.kind === 'model' || interruption?.kind === 'storage' ? interruption.kind : 'engine';
  const reason = interruption !== null && 'message' in interruption ? interruption.message : undefined;
  const message = reason ?? `${batch.history.barren} consecutive deliveries made no progress`;
  return { frameIndex, kind, message: cutText(message), attempts };
}

function delaySecondsOf(outcome: DeliveryOutcome, barren: number): number {
  const { interruption } = outcome;
  if (interruption?.kind === 'draining') return 0;
  if (interruption !== null && PASSED_ON.has(interruption.kind)) return PASS_ON_SECONDS;
  if (interruption?.kind === 'storage') return storageDelaySeconds(outcome);
  return barren === 0 ? 0 : Math.min(BARREN_DELAY_SECONDS_MAX, BARREN_DELAY_SECONDS_BASE ** barren);
}

function storageDelaySeconds({
  batch,
  dequeueCount,
}: Pick<DeliveryOutcome, 'batch' | 'dequeueCount'>): number {
  const spread = (batch.batchIndex * 7 + dequeueCount * 5) % STORAGE_DELAY_SECONDS_SPREAD;
  return STORAGE_DELAY_SECONDS_MIN + spread;
}
