/**
 * What a batch's history, as its message carries it, means for the delivery at hand. PURE.
 *
 * `dequeueCount` tells how many deliveries there were; the history tells what became of those that said so. The others ended
 * without a word: machines that were killed. Whether they got anywhere shows in storage: in the frames that are resolved (stored
 * or given up) now and were not when the history was last written.
 */
import { BATCH_HISTORY_FAILURES_MAX } from '../../shared/contract/limits.ts';
import type { BatchMessage, FailureKind } from '../../shared/contract/messages.ts';
import { indicesOf, toRanges } from '../../shared/contract/ranges.ts';

export type BatchHistory = BatchMessage['history'];

/** Deliveries in a row that got nowhere, from which on frames are tried one by one. */
const CAREFUL_FROM_BARREN = 3;
/** Stands for a worker that was killed and left no name. */
export const KILLED_WORKER = 'killed';

/** How often a frame has failed, and who saw it last. */
export interface FrameTries {
  readonly kind: FailureKind;
  readonly attempts: number;
  readonly worker: string;
}

export interface Outset {
  /** Brought up to date; to be saved at once where `mustSave`. */
  readonly history: BatchHistory;
  readonly mustSave: boolean;
  /**
   * at-once    all frames, as fast as can be
   * carefully  one by one, each saved in the message before it is tried
   * pass-on    this worker has failed all that is left: another may do better
   */
  readonly approach: 'at-once' | 'carefully' | 'pass-on';
  /** Frames to be tried alone, and last: all of them where it is done carefully, else those that somebody died of. */
  readonly suspects: readonly number[];
  /** Frames that are given up without another try: whoever tried them died of it, or failed too often. */
  readonly givenUp: ReadonlyMap<number, FrameTries>;
}

export interface Arrival {
  readonly history: BatchHistory;
  readonly dequeueCount: number;
  /** Frames of the batch, resolved or not. */
  readonly frames: readonly number[];
  readonly resolved: ReadonlySet<number>;
  readonly worker: string;
  /** The delivery that this worker had before, and lived to see the end of: what it left in the message proves no death. */
  readonly livedThrough?: number | undefined;
}

export function outset({ history, dequeueCount, frames, resolved, worker, livedThrough }: Arrival): Outset {
  const silent = Math.max(0, dequeueCount - 1 - history.deliveries);
  const hasProgressed = resolved.size > history.resolved;
  const tries = triesOf(history);
  const { carefulFrame } = history;
  const writtenBy = history.deliveries + 1;
  if (silent > 0 && writtenBy !== livedThrough && carefulFrame !== null && !resolved.has(carefulFrame)) {
    const before = tries.get(carefulFrame);
    const deaths = before?.kind === 'engine' ? before.attempts : 0;
    tries.set(carefulFrame, { kind: 'engine', attempts: deaths + 1, worker: KILLED_WORKER });
  }
  const left = frames.filter((frameIndex) => !resolved.has(frameIndex));
  const given = left.flatMap((frameIndex) => {
    const known = tries.get(frameIndex);
    return known !== undefined && known.attempts >= attemptsMax(known.kind)
      ? [[frameIndex, known] as const]
      : [];
  });
  const givenUp = new Map(given);
  const barren = silent === 0 ? history.barren : hasProgressed ? 0 : history.barren + silent;
  const open = left.filter((frameIndex) => !givenUp.has(frameIndex));
  const isOurFault =
    open.length > 0 &&
    history.passedOnBy !== worker &&
    open.every((frameIndex) => tries.get(frameIndex)?.worker === worker);
  const carefully = barren >= CAREFUL_FROM_BARREN;
  return {
    history: {
      ...history,
      deliveries: Math.max(history.deliveries, dequeueCount - 1),
      resolved: resolved.size,
      barren,
      failures: failuresFrom(tries, resolved),
      carefulFrame: null,
    },
    mustSave: silent > 0,
    approach: carefully ? 'carefully' : isOurFault ? 'pass-on' : 'at-once',
    suspects: carefully ? open : open.filter((frameIndex) => tries.get(frameIndex)?.kind === 'engine'),
    givenUp,
  };
}

/** Tries of a frame, after which it is given up. */
export function attemptsMax(kind: FailureKind): number {
  switch (kind) {
    case 'undecodable':
    case 'model':
      return 1;
    // The listing or the put may be late, once; and one death may be the machine's fault.
    case 'missing':
    case 'engine':
      return 2;
    case 'inference':
    case 'storage':
      return 3;
  }
}

/** Failing frames by their number. */
export function triesOf({ failures }: Pick<BatchHistory, 'failures'>): Map<number, FrameTries> {
  return new Map(
    failures.flatMap(({ frames, ...tries }) =>
      [...indicesOf(frames)].map((frameIndex) => [frameIndex, tries] as const),
    ),
  );
}

/** As a message carries them: grouped, without those that are resolved. Beyond the bound, who failed them is forgotten first. */
export function failuresFrom(
  tries: ReadonlyMap<number, FrameTries>,
  resolved: ReadonlySet<number>,
): BatchHistory['failures'] {
  const open = [...tries].filter(([frameIndex]) => !resolved.has(frameIndex));
  const groups = group(open);
  if (groups.length <= BATCH_HISTORY_FAILURES_MAX) return groups;
  const nameless = open.map(
    ([frameIndex, known]) => [frameIndex, { ...known, worker: KILLED_WORKER }] as const,
  );
  return group(nameless).slice(0, BATCH_HISTORY_FAILURES_MAX);
}

function group(tries: readonly (readonly [number, FrameTries])[]): BatchHistory['failures'] {
  const groups = Map.groupBy(tries, ([, { kind, attempts, worker }]) => `${kind} ${attempts} ${worker}`);
  return [...groups.values()].flatMap((members) => {
    const [first] = members;
    if (first === undefined) return [];
    const { kind, attempts, worker } = first[1];
    return [{ kind, attempts, worker, frames: toRanges(members.map(([frameIndex]) => frameIndex)) }];
  });
}
