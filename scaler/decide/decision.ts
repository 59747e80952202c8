/**
 * A decision as a value: the actions to take, the reason for them, and the numbers that led to it. PURE: types, closed sets and their
 * texts.
 *
 * `act/` carries out the actions as given, and `api/explain/` needs nothing else to explain them. The text of every reason is defined
 * only here.
 */

/** Every reason for a decision, with the sentence that `explain` prints for it. */
export const REASON_SENTENCES = {
  'work-waits': 'The work needs more instances than there are.',
  minimum: 'The minimum capacity is kept, with or without work.',
  schedule: 'The schedule asks for more instances than the work.',
  override: 'An override sets another size.',
  replacing: 'An instance is faulty, silent or never came up, and is replaced.',
  'idle-too-long': 'Instances have been idle for as long as a cold start takes.',
  drained: 'Drained instances hold no work and are removed.',
  'not-running': 'Instances that were evicted, switched off or never created are removed.',
  'enough-at-work': 'There are as many instances as the work needs.',
  'idle-window': 'There are more instances than the work needs, but they have not been idle for long enough.',
  'zero-not-confirmed': 'No work is left, but that was read only once.',
  'nothing-to-do': 'There is no work and there are no instances.',
  'capacity-reached': 'The work needs more instances than the maximum capacity.',
  'spending-reached': 'The work needs more instances than the spending limit allows.',
  'pools-blocked': 'The work needs more instances than Azure can provide at the moment.',
  'boots-fail': 'Several instances in a row never came up: the scaler tries one at a time.',
  'asked-already': 'A pool is still changing, or was changed a moment ago.',
  'work-unknown': 'The queue or the ledger cannot be read: the fleet does not shrink.',
  'workers-unknown': 'Heartbeats or drain requests cannot be read: no instance is drained or removed.',
  'fleet-unknown': 'The fleet cannot be read: the scaler does nothing.',
  'fleet-silent':
    'No heartbeat arrives any more. The cause is likely storage or the network, not the workers: no instance is drained or removed.',
} as const;
export type Reason = keyof typeof REASON_SENTENCES;
export const REASONS = Object.keys(REASON_SENTENCES) as readonly Reason[];

const DRAIN_REASON_TEXTS = {
  idle: 'idle for as long as a cold start takes',
  override: 'above the size that the override sets',
  faulty: 'fails frames that other workers score',
  silent: 'sends no heartbeats any more',
  'never-reported': 'never sent a heartbeat',
  'never-ready': 'sends heartbeats, but its engine never started',
  failed: 'reported as failed by the cloud, and never sent a heartbeat',
  'by-itself': 'drained after an eviction notice or a signal, but its instance is still there',
} as const;
/** Why the scaler asks an instance to drain. */
export type DrainReason = keyof typeof DRAIN_REASON_TEXTS;
export const DRAIN_REASONS = Object.keys(DRAIN_REASON_TEXTS) as readonly DrainReason[];

/** Why the scaler drains or removes an instance, in the words that `explain` prints after its name. */
export const REMOVAL_REASON_TEXTS = {
  ...DRAIN_REASON_TEXTS,
  asked: 'drained on a request that this scaler did not make, or does not remember',
  stopped: 'not running: evicted or switched off',
} as const;
export type RemovalReason = keyof typeof REMOVAL_REASON_TEXTS;
export const REMOVAL_REASONS = Object.keys(REMOVAL_REASON_TEXTS) as readonly RemovalReason[];

/**
 * Why a removal is safe. `act/confirm-removal.ts` checks it again just before the removal.
 *
 * drained       every worker on the instance is drained and quotes the drain request that is in force
 * unresponsive  no worker on it has sent a heartbeat for longer than any lease; or none has become ready and answered the drain request
 * not-running   it has no worker that could hold a batch
 */
export type RemovalBasis = 'drained' | 'unresponsive' | 'not-running';

export interface ScaleOutAction {
  readonly kind: 'scale-out';
  readonly pool: string;
  /** The new capacity of the pool, set in one call. */
  readonly total: number;
}

export interface DrainAction {
  readonly kind: 'drain';
  /** Each gets a drain request, unless it has one already. */
  readonly vmIds: readonly string[];
  readonly why: DrainReason;
}

export interface RemoveAction {
  readonly kind: 'remove';
  readonly pool: string;
  readonly instanceIds: readonly string[];
  /** In the order of `instanceIds`; null where the cloud has not assigned one. */
  readonly vmIds: readonly (string | null)[];
  readonly why: RemovalReason;
  readonly basis: RemovalBasis;
}

export type Action = ScaleOutAction | DrainAction | RemoveAction;

/** One step of the calculation: a constant name and its numbers. `sentenceOf` puts it in words. */
export interface DecisionStep {
  readonly name: StepName;
  readonly numbers: Readonly<Record<string, number | string | null>>;
}

/** The sentence of each step, with its numbers in braces. */
const STEP_SENTENCES = {
  backlog:
    'frames left: {framesRemaining}, batches: {batchesRemaining}, work for one engine: {engineSeconds} s',
  queue: 'messages on the queue, visible or leased: {messages}',
  capped: '{jobs} jobs have spent their caps, are held, and need no instances',
  'in-time': '{instances} instances are wanted, to finish the work in {targetSeconds} s',
  'worth-booting': 'at most {instances} have more work than the {bootSeconds} s they take to boot',
  batches: 'at most {instances} find a batch to work on',
  wanted: 'the work needs {instances}',
  busy: 'instances that are busy and stay: {instances}',
  schedule: 'the schedule asks for at least {capacity} until {until}',
  'schedule-ahead':
    'the schedule asks for at least {capacity} from {from}: they start {bootSeconds} s before, as long as a boot takes',
  'schedule-kept': '{instances} stay for a window of the schedule that starts soon',
  override: 'an override is in force until {expiresAt}: {meaning}',
  'override-schedule': 'an override replaces the schedule, until {expiresAt}',
  bounds: 'the bounds are {floor} to {ceiling}',
  alive: 'instances that work or boot: {alive} of {total}',
  spending: 'the fleet costs {perHour} an hour, of at most {perHourMax}',
  grow: 'scale out {pool} by {added}, to {total}',
  shrink: 'instances that are not needed: {surplus}, of which idle for {windowSeconds} s: {due}',
  drain: 'drain {instances}: {why}',
  remove: 'remove {instances} from {pool}: {why}',
} as const;
type StepName = keyof typeof STEP_SENTENCES;

/** What limits the fleet, or what an operator should know. */
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
  readonly pool: string | null;
  /** Causes and counts, in words. */
  readonly detail: string;
  readonly until: Date | null;
}

/** What happens next if nothing else changes, in the words that `explain` prints. */
export const NEXT_EVENT_TEXTS = {
  'pool-asked-again': 'the scaler tries the blocked pool again',
  'boot-tried-again': 'the scaler tries one more instance',
  'boot-overdue': 'an instance that has sent no heartbeat counts as failed',
  'idle-drained': 'idle instances are asked to drain',
  'silent-removed': 'silent instances are removed',
  'override-ends': 'the override ends',
  'schedule-starts': 'a window of the schedule starts',
  'schedule-ends': 'a window of the schedule ends',
  'next-tick': 'the scaler checks again',
} as const;
export interface NextEvent {
  readonly kind: keyof typeof NEXT_EVENT_TEXTS;
  readonly at: Date | null;
  /** Of a window of the schedule; absent for other events. */
  readonly timeZone?: string;
}

export interface ScalingDecision {
  /** Empty means hold. At most one change for each pool. */
  readonly actions: readonly Action[];
  readonly reason: Reason;
  /** How many instances there should be, within every bound. */
  readonly capacityDesired: number;
  readonly steps: readonly DecisionStep[];
  readonly blockers: readonly Blocker[];
  readonly next: NextEvent;
  /** The figures behind the decision, flat, for logs and metrics. */
  readonly numbers: Readonly<Record<string, number | null>>;
}

export function sentenceOf({ name, numbers }: DecisionStep): string {
  return STEP_SENTENCES[name].replaceAll(/\{(\w+)\}/g, (_, key: string) => String(numbers[key] ?? 'unknown'));
}
