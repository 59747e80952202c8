/**
 * What a batch's history means for the delivery at hand. PURE.
 *
 * `dequeueCount` says how many deliveries there were. The history, which travels in the message, records those that could update
 * it. The others are unrecorded: their workers were killed. Storage shows whether those made progress: more frames are resolved
 * (in a stored segment, or given up) now than when the history was last written.
 */
import type { FailedFrame } from '../../shared/contract/failed-frame.ts';
import { BATCH_HISTORY_FAILURES_MAX } from '../../shared/contract/limits.ts';
import type { BatchMessage, FailureKind } from '../../shared/contract/messages.ts';
import { type FrameRange, indicesOf, toRanges } from '../../shared/contract/ranges.ts';

export type BatchHistory = BatchMessage['history'];

/** After this many consecutive deliveries without progress, frames are tried one by one. */
const ALONE_FROM_BARREN = 3;
/** Stands for a killed worker, whose name is not known. */
export const KILLED_WORKER = 'killed';

/** Failed attempts at a frame in earlier deliveries, as the history keeps them: without a message, with the last worker. */
export type PastFailure = Omit<BatchHistory['failures'][number], 'frames'>;

export interface DeliveryPlan {
  /** Brought up to date. If `mustSave`, save it before any frame runs. */
  readonly history: BatchHistory;
  readonly mustSave: boolean;
  /**
   * together  run all frames together, as fast as possible
   * alone     run frames one by one, each saved in the message first
   * pass-on   this worker has failed a frame of every open segment: let another worker try
   */
  readonly approach: 'together' | 'alone' | 'pass-on';
  /** Frames to run alone, after the segments without any: all open ones if `alone`, else those that may have killed an engine. */
  readonly suspects: readonly number[];
  /** Frames to give up without another attempt: they have used up their attempts. */
  readonly givenUp: readonly FailedFrame[];
}

/** What is known of a delivery before any frame runs. */
export interface DeliveryStart {
  readonly history: BatchHistory;
  readonly dequeueCount: number;
  /** All frames of the batch, resolved or not. */
  readonly frames: readonly number[];
  readonly resolved: ReadonlySet<number>;
  /** Segments that are not stored. All their frames may be given up. */
  readonly openSegments: readonly FrameRange[];
  readonly worker: string;
  /**
   * The `dequeueCount` of this worker's previous delivery of the batch, which it survived: a frame number saved in that delivery
   * proves no death.
   */
  readonly survivedDelivery?: number | undefined;
}

export function planDelivery(start: DeliveryStart): DeliveryPlan {
  const { history, dequeueCount, frames, resolved, openSegments, worker, survivedDelivery } = start;
  const unrecorded = Math.max(0, dequeueCount - 1 - history.deliveries);
  const hasProgressed = resolved.size > history.resolved;
  const failures = failuresByFrame(history);
  const { carefulFrame } = history;
  const savedByDelivery = history.deliveries + 1;
  const isDeath = unrecorded > 0 && savedByDelivery !== survivedDelivery;
  if (isDeath && carefulFrame !== null && !resolved.has(carefulFrame)) {
    const before = failures.get(carefulFrame);
    const deaths = before?.kind === 'engine' ? before.attempts : 0;
    failures.set(carefulFrame, { kind: 'engine', attempts: deaths + 1, worker: KILLED_WORKER });
  }
  const left = frames.filter((frameIndex) => !resolved.has(frameIndex));
  const givenUp = left.flatMap((frameIndex): FailedFrame[] => {
    const failure = failures.get(frameIndex);
    if (failure === undefined || failure.attempts < attemptsMax(failure.kind)) return [];
    const { kind, attempts } = failure;
    return [{ frameIndex, kind, message: describe(failure), attempts }];
  });
  const barren = unrecorded === 0 ? history.barren : hasProgressed ? 0 : history.barren + unrecorded;
  const isGivenUp = new Set(givenUp.map(({ frameIndex }) => frameIndex));
  const open = left.filter((frameIndex) => !isGivenUp.has(frameIndex));
  const failedHere = new Set(open.filter((frameIndex) => failures.get(frameIndex)?.worker === worker));
  const mustPassOn =
    openSegments.length > 0 &&
    history.passedOnBy !== worker &&
    openSegments.every((segment) =>
      [...indicesOf([segment])].some((frameIndex) => failedHere.has(frameIndex)),
    );
  const runsAlone = barren >= ALONE_FROM_BARREN;
  return {
    history: {
      ...history,
      deliveries: Math.max(history.deliveries, dequeueCount - 1),
      resolved: resolved.size,
      barren,
      failures: toHistoryFailures(failures, resolved),
      carefulFrame: null,
    },
    mustSave: unrecorded > 0,
    approach: runsAlone ? 'alone' : mustPassOn ? 'pass-on' : 'together',
    suspects: runsAlone ? open : open.filter((frameIndex) => failures.get(frameIndex)?.kind === 'engine'),
    givenUp,
  };
}

/** After this many failed attempts, a frame is given up. */
export function attemptsMax(kind: FailureKind): number {
  switch (kind) {
    case 'model':
    case 'source':
      return 1;
    // One death may be the instance's fault.
    case 'engine':
      return 2;
    case 'inference':
    case 'storage':
      return 3;
  }
}

export function failuresByFrame({ failures }: Pick<BatchHistory, 'failures'>): Map<number, PastFailure> {
  return new Map(
    failures.flatMap(({ frames, ...failure }) =>
      [...indicesOf(frames)].map((frameIndex) => [frameIndex, failure] as const),
    ),
  );
}

/**
 * Failures of unresolved frames, grouped as a message carries them. If there are too many groups, the names of workers are
 * dropped first.
 */
export function toHistoryFailures(
  failures: ReadonlyMap<number, PastFailure>,
  resolved: ReadonlySet<number>,
): BatchHistory['failures'] {
  const open = [...failures].filter(([frameIndex]) => !resolved.has(frameIndex));
  const groups = group(open);
  if (groups.length <= BATCH_HISTORY_FAILURES_MAX) return groups;
  const nameless = open.map(
    ([frameIndex, failure]) => [frameIndex, { ...failure, worker: KILLED_WORKER }] as const,
  );
  return group(nameless).slice(0, BATCH_HISTORY_FAILURES_MAX);
}

function group(failures: readonly (readonly [number, PastFailure])[]): BatchHistory['failures'] {
  const groups = Map.groupBy(failures, ([, { kind, attempts, worker }]) => `${kind} ${attempts} ${worker}`);
  return [...groups.values()].flatMap((members) => {
    const [first] = members;
    if (first === undefined) return [];
    const { kind, attempts, worker } = first[1];
    return [{ kind, attempts, worker, frames: toRanges(members.map(([frameIndex]) => frameIndex)) }];
  });
}

/** The history keeps no messages: this is all that is known of an earlier failure. */
function describe({ kind, attempts }: PastFailure): string {
  return kind === 'engine'
    ? `${attempts} workers or engines died while processing this frame`
    : `failed attempts: ${attempts}`;
}
