/**
 * How a delivery ends. PURE.
 *
 * complete  every frame is stored or has failed for good: tell the job, delete the message
 * release   something is left to do: one Update Message with this delivery's history, visible now or after a delay
 * poison    what is left will never be done: put it aside with its reason, tell the job, delete
 * leave     the lease is lost, or may be: touch nothing
 *
 * `dequeueCount` is not a failure count: evictions, crashes and lost answers raise it. What counts is whether deliveries get
 * anywhere, and how often each frame has failed. Storage that gives and takes nothing at all is no failure of the batch.
 */
import { BATCH_FRAMES_MAX } from '../../shared/contract/limits.ts';
import { type BatchMessage, type FailureKind, cutText } from '../../shared/contract/messages.ts';
import { type BatchHistory, type FrameTries, attemptsMax, failuresFrom, triesOf } from './history.ts';

/** Deliveries in a row that got nowhere, after which the batch is given up. */
const BARREN_DELIVERIES_MAX = 8;
/** Deliveries that no release accounts for. Each may have stored one frame, so this is only the outermost bound. */
const UNRELEASED_DELIVERIES_MAX = 2 * BATCH_FRAMES_MAX;

/** A day of being released for storage that never gives what is left: then it is no outage any more. */
const DELIVERIES_MAX = 4_320;

/** So many workers that cannot load a model blame it: they do not all have the same fault. */
const REFUSALS_TO_BLAME = 2;
/** A fleet of one worker gives a model up after so many deliveries: 2, 4 and 8 s apart. */
const MODEL_DELIVERIES_MAX = 4;

const BARREN_DELAY_SECONDS_BASE = 2;
const BARREN_DELAY_SECONDS_MAX = 60;
/** So long another worker has, before the one that failed may try again. */
const PASS_ON_SECONDS = 3;
/** While storage is in trouble, spread out so that its first good second is not its last. */
const STORAGE_DELAY_SECONDS_MIN = 10;
const STORAGE_DELAY_SECONDS_SPREAD = 20;

/** Why a run ended before its last frame. */
export type Interruption =
  | { readonly kind: 'draining' }
  | { readonly kind: 'passing-on' }
  | { readonly kind: 'storage' | 'engine'; readonly message: string }
  | { readonly kind: 'model'; readonly message: string; readonly isHopeless: boolean };

/** A frame that this delivery tried in vain, and how often. */
export interface Trouble {
  readonly frameIndex: number;
  readonly kind: FailureKind;
  readonly message: string;
  readonly times: number;
}

/** A frame that is given up for good. */
export interface GivenUp {
  readonly frameIndex: number;
  readonly kind: FailureKind;
  readonly message: string;
  readonly attempts: number;
}

export interface Delivery {
  /** With its history as of the outset of this delivery. */
  readonly batch: BatchMessage;
  readonly worker: string;
  readonly dequeueCount: number;
  readonly leaseLost: boolean;
  readonly interruption: Interruption | null;
  /** Frames that were given up before, in an earlier delivery or at the outset of this one. */
  readonly failedBefore: ReadonlySet<number>;
  /** Frames whose output is stored, whoever stored it. */
  readonly scored: ReadonlySet<number>;
  /** How many of them this delivery stored. */
  readonly newlyStored: number;
  readonly troubles: readonly Trouble[];
}

export type Decision =
  | { readonly kind: 'complete'; readonly givenUp: readonly GivenUp[] }
  | {
      readonly kind: 'release';
      readonly givenUp: readonly GivenUp[];
      readonly delaySeconds: number;
      readonly history: BatchHistory;
    }
  | { readonly kind: 'poison'; readonly givenUp: readonly GivenUp[] }
  | { readonly kind: 'leave' };

export function settle(delivery: Delivery): Decision {
  const { batch, dequeueCount, leaseLost, interruption, scored, failedBefore, worker } = delivery;
  if (leaseLost) return { kind: 'leave' };

  const charged = chargeable(delivery);
  const tries = triesAfter(batch.history, charged, worker);
  const givenUp = charged.flatMap(({ frameIndex, kind, message }) => {
    const attempts = tries.get(frameIndex)?.attempts ?? 1;
    return attempts >= attemptsMax(kind) ? [{ frameIndex, kind, message, attempts }] : [];
  });
  const resolved = new Set([...scored, ...failedBefore, ...givenUp.map(({ frameIndex }) => frameIndex)]);
  const left = framesOf(batch).filter((frameIndex) => !resolved.has(frameIndex));
  if (left.length === 0) return { kind: 'complete', givenUp };

  const hasProgressed = resolved.size > batch.history.resolved;
  const barren = hasProgressed ? 0 : batch.history.barren + (isNobodysFault(delivery) ? 0 : 1);
  const unreleased = dequeueCount - batch.history.releases;
  const refusedBy = refusalsAfter(delivery);
  const isHopeless =
    interruption?.kind === 'model' &&
    (interruption.isHopeless || refusedBy.length >= REFUSALS_TO_BLAME || barren >= MODEL_DELIVERIES_MAX);
  const isBarren = barren >= BARREN_DELIVERIES_MAX && !isNobodysFault(delivery);
  const isEndless = unreleased > UNRELEASED_DELIVERIES_MAX || dequeueCount > DELIVERIES_MAX;
  if (isHopeless || isBarren || isEndless) {
    const rest = left.map((frameIndex) => lastWord(frameIndex, { delivery, tries }));
    return { kind: 'poison', givenUp: [...givenUp, ...rest] };
  }
  return {
    kind: 'release',
    givenUp,
    delaySeconds: delayOf({ delivery, barren }),
    history: {
      releases: batch.history.releases + 1,
      deliveries: dequeueCount,
      resolved: resolved.size,
      barren,
      failures: failuresFrom(tries, resolved),
      carefulFrame: null,
      refusedBy,
      passedOnBy: interruption?.kind === 'passing-on' ? worker : null,
    },
  };
}

/**
 * Of a delivery that ended before it began, because storage would not even say what it holds. It vouches for itself, and says
 * nothing about those before it.
 */
export function unbegun({ batch, dequeueCount }: Pick<Delivery, 'batch' | 'dequeueCount'>): {
  readonly delaySeconds: number;
  readonly history: BatchHistory;
} {
  const { history } = batch;
  return {
    delaySeconds: storageDelaySeconds({ batch, dequeueCount }),
    history: { ...history, releases: history.releases + 1, deliveries: history.deliveries + 1 },
  };
}

/** Workers that could not load the model, this one included where it could not. */
function refusalsAfter({ batch, interruption, worker }: Delivery): string[] {
  const { refusedBy } = batch.history;
  return interruption?.kind === 'model' ? [...new Set([...refusedBy, worker])] : [...refusedBy];
}

/** What counts against frames. Where storage gave and took nothing, or went away, it is storage that has failed. */
function chargeable({ troubles, newlyStored, interruption }: Delivery): readonly Trouble[] {
  const wasThere = newlyStored > 0 && interruption?.kind !== 'storage';
  return wasThere ? troubles : troubles.filter(({ kind }) => kind !== 'storage');
}

/** Whether a delivery that got nowhere says nothing against the batch. */
function isNobodysFault(delivery: Delivery): boolean {
  const { interruption, troubles } = delivery;
  if (interruption?.kind === 'draining' || interruption?.kind === 'passing-on') return true;
  if (interruption?.kind === 'storage') return true;
  return interruption === null && troubles.length > 0 && chargeable(delivery).length === 0;
}

/** Failures so far, this delivery's included; one that fails in another way than before starts anew. */
function triesAfter(
  history: BatchHistory,
  troubles: readonly Trouble[],
  worker: string,
): Map<number, FrameTries> {
  const tries = triesOf(history);
  for (const { frameIndex, kind, times } of troubles) {
    const before = tries.get(frameIndex);
    const attempts = (before?.kind === kind ? before.attempts : 0) + times;
    tries.set(frameIndex, { kind, attempts, worker });
  }
  return tries;
}

/** What is told of a frame that is given up because its batch is. */
function lastWord(
  frameIndex: number,
  { delivery, tries }: { readonly delivery: Delivery; readonly tries: ReadonlyMap<number, FrameTries> },
): GivenUp {
  const { interruption, troubles, batch } = delivery;
  const own = troubles.find((trouble) => trouble.frameIndex === frameIndex);
  const attempts = Math.max(1, tries.get(frameIndex)?.attempts ?? 1);
  if (own !== undefined) return { frameIndex, kind: own.kind, message: own.message, attempts };
  const kind = interruption?.kind === 'model' ? 'model' : 'engine';
  const said = interruption !== null && 'message' in interruption ? interruption.message : undefined;
  const message = said ?? `${batch.history.barren} deliveries in a row got nowhere`;
  return { frameIndex, kind, message: cutText(message), attempts };
}

function delayOf({ delivery, barren }: { readonly delivery: Delivery; readonly barren: number }): number {
  const { interruption } = delivery;
  if (interruption?.kind === 'draining') return 0;
  if (interruption?.kind === 'passing-on') return PASS_ON_SECONDS;
  if (isNobodysFault(delivery)) return storageDelaySeconds(delivery);
  return barren === 0 ? 0 : Math.min(BARREN_DELAY_SECONDS_MAX, BARREN_DELAY_SECONDS_BASE ** barren);
}

function storageDelaySeconds({ batch, dequeueCount }: Pick<Delivery, 'batch' | 'dequeueCount'>): number {
  const spread = (batch.batchIndex * 7 + dequeueCount * 5) % STORAGE_DELAY_SECONDS_SPREAD;
  return STORAGE_DELAY_SECONDS_MIN + spread;
}

export function framesOf({ frameStart, frameEnd }: Pick<BatchMessage, 'frameStart' | 'frameEnd'>): number[] {
  return Array.from({ length: frameEnd - frameStart }, (_, offset) => frameStart + offset);
}
