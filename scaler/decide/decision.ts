/**
 * A decision, as a value: what is to be done, why, and the numbers that led to it. PURE: types and closed sets only.
 *
 * Whoever carries it out has no opinions. Whoever explains it needs nothing else.
 */

/**
 * work-waits          more instances are wanted than there are
 * minimum             so many are kept, work or not
 * override            somebody asked for another size
 * replacing           an instance is at fault, silent, or never came up: it goes, and another comes
 * idle-too-long       instances have been idle for what a cold start costs
 * drained             instances said that they hold nothing and will take nothing ever again
 * not-running         instances do not run: evicted, switched off, never made
 * enough-at-work      there are as many as are wanted
 * idle-window         more than wanted, but not for long enough
 * zero-not-confirmed  nothing seems left, but it was read only once
 * nothing-to-do       nothing left, nobody there
 * capacity-reached    more are wanted than there may be
 * spending-reached    more are wanted than may be paid for
 * pools-blocked       more are wanted than the cloud gives at the moment
 * boots-fail          instances in a row never reported: only one at a time is tried
 * asked-already       a pool is changing, or was written to a moment ago
 * work-unknown        queue or ledger cannot be read: nothing shrinks
 * workers-unknown     heartbeats or drain requests cannot be read: nobody goes
 * fleet-unknown       the cloud cannot be read: nothing is done
 * fleet-silent        nobody's heartbeat is read any more: that is our trouble, not theirs
 */
export const REASONS = [
  'work-waits',
  'minimum',
  'override',
  'replacing',
  'idle-too-long',
  'drained',
  'not-running',
  'enough-at-work',
  'idle-window',
  'zero-not-confirmed',
  'nothing-to-do',
  'capacity-reached',
  'spending-reached',
  'pools-blocked',
  'boots-fail',
  'asked-already',
  'work-unknown',
  'workers-unknown',
  'fleet-unknown',
  'fleet-silent',
] as const;
export type Reason = (typeof REASONS)[number];

/**
 * idle            nothing to do for as long as a cold start costs
 * override        more than a person wants at the moment
 * faulty          fails what others score
 * silent          no heartbeat for longer than any lease
 * never-reported  no heartbeat ever
 * never-ready     it beats, but its engine never came up
 * failed          the cloud could not make it, or says so
 * by-itself       it drained for a notice or a signal, and the machine stayed
 */
export const DRAIN_WHYS = [
  'idle',
  'override',
  'faulty',
  'silent',
  'never-reported',
  'never-ready',
  'failed',
  'by-itself',
] as const;
export type DrainWhy = (typeof DRAIN_WHYS)[number];

/**
 * asked    its drain request was somebody else's, or is not remembered
 * stopped  deallocated or switched off: an eviction, mostly
 */
export const REMOVE_WHYS = [...DRAIN_WHYS, 'asked', 'stopped'] as const;
export type RemoveWhy = (typeof REMOVE_WHYS)[number];

/**
 * On what a removal rests: to be looked at again just before it (`who-may-go.ts`).
 *
 * consent      every worker on it said drained, quoting the request that stands
 * silence      nobody on it has been heard for longer than any lease, nor has answered the request
 * not-running  there is no worker on it to hold anything
 */
export type RemoveBasis = 'consent' | 'silence' | 'not-running';

export type Action =
  /** Raise the pool's capacity to a total, in one call. */
  | { readonly kind: 'scale-out'; readonly pool: string; readonly total: number }
  /** Put a drain request for each, where none stands. */
  | { readonly kind: 'drain'; readonly vmIds: readonly string[]; readonly why: DrainWhy }
  /** Remove by name. `vmIds` go with `instanceIds`, one for one; null where the cloud had given none. */
  | {
      readonly kind: 'remove';
      readonly pool: string;
      readonly instanceIds: readonly string[];
      readonly vmIds: readonly (string | null)[];
      readonly why: RemoveWhy;
      readonly basis: RemoveBasis;
    };

/** One step of the sum, in order: a constant name and its numbers. `sentenceOf` has the words. */
export interface Step {
  readonly name: StepName;
  readonly numbers: Readonly<Record<string, number | string | null>>;
}

/** What each step says, with its numbers in braces. */
const STEP_SENTENCES = {
  backlog:
    '{framesRemaining} frames in {batchesRemaining} batches are left, {engineSeconds} s for one engine',
  queue: '{messages} messages are on the queue, taken or not',
  capped: '{jobs} jobs have spent their caps, are held, and need no instances',
  'in-time': '{instances} instances do that in {targetSeconds} s',
  'worth-booting': '{instances} at most have work for longer than the {bootSeconds} s they take to boot',
  batches: '{instances} at most find a batch to work on',
  wanted: '{instances} are wanted for the work',
  busy: '{instances} are at work and stay',
  override: 'an override asks for {mode} {capacity}, until {expiresAt}',
  bounds: 'between {floor} and {ceiling} are allowed',
  alive: '{alive} are at work or on their way there, of {total} machines in all',
  spending: '{perHour} is spent an hour, of {perHourMax} at most',
  grow: '{added} more are asked of {pool}, {total} in all',
  shrink: '{surplus} are not wanted, {due} of them for long enough ({windowSeconds} s)',
  drain: '{instances} are asked to drain: {why}',
  remove: '{instances} of {pool} are removed: {why}',
} as const;
type StepName = keyof typeof STEP_SENTENCES;

/** What stands in the way, or an operator should know; in words for the service's own. */
const BLOCKERS = [
  'pool-blocked',
  'spot-evicting',
  'deadline-at-risk',
  'boots-fail',
  'capacity-max',
  'spending-max',
  'override',
  'fleet-silent',
  'drain-unanswered',
  'workers-too-old',
  'jobs-at-their-cap',
] as const;
export interface Blocker {
  readonly kind: (typeof BLOCKERS)[number];
  /** The pool, the reason of the refusal, how many: whatever there is to say. */
  readonly pool: string | null;
  readonly detail: string;
  readonly until: Date | null;
}

/** What it waits for, where it waits. */
const NEXTS = [
  'pool-asked-again',
  'boot-tried-again',
  'boot-overdue',
  'idle-drained',
  'silent-removed',
  'override-ends',
  'next-tick',
] as const;
export interface Next {
  readonly kind: (typeof NEXTS)[number];
  readonly at: Date | null;
}

export interface Decision {
  /** Empty: hold. At most one write to each pool. */
  readonly actions: readonly Action[];
  readonly reason: Reason;
  /** Instances that there should be, after every bound. */
  readonly capacityDesired: number;
  readonly steps: readonly Step[];
  readonly blockers: readonly Blocker[];
  readonly next: Next;
  /** The same, flat, for logs and metrics. */
  readonly numbers: Readonly<Record<string, number | null>>;
}

/** The step as a sentence. */
export function sentenceOf({ name, numbers }: Step): string {
  return STEP_SENTENCES[name].replaceAll(/\{(\w+)\}/g, (_, key: string) => String(numbers[key] ?? 'unknown'));
}
