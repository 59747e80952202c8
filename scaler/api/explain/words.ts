/** A decision in sentences: why the fleet has its size, the calculation, what blocks it, and what comes next. PURE. */
import {
  type Action,
  type Blocker,
  type Decision,
  type Next,
  type Reason,
  type RemoveWhy,
  sentenceOf,
} from '../../decide/decision.ts';
import type { Override } from '../../observe/observation.ts';
import { describeOverride } from '../../override/document.ts';

export const REASON_SENTENCES: Readonly<Record<Reason, string>> = {
  'work-waits': 'The work needs more instances than there are.',
  minimum: 'The minimum capacity is kept, with or without work.',
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
};

const WHY_WORDS: Readonly<Record<RemoveWhy, string>> = {
  idle: 'idle for as long as a cold start takes',
  override: 'above the size that the override sets',
  faulty: 'fails frames that other workers score',
  silent: 'sends no heartbeats any more',
  'never-reported': 'never sent a heartbeat',
  'never-ready': 'sends heartbeats, but its engine never started',
  failed: 'reported as failed by the cloud, and never sent a heartbeat',
  'by-itself': 'drained after an eviction notice or a signal, but its machine is still there',
  asked: 'drained on a request that this scaler did not make, or does not remember',
  stopped: 'not running: evicted or switched off',
};

const NEXT_WORDS: Readonly<Record<Next['kind'], string>> = {
  'pool-asked-again': 'the scaler tries the blocked pool again',
  'boot-tried-again': 'the scaler tries one more instance',
  'boot-overdue': 'an instance that has sent no heartbeat counts as failed',
  'idle-drained': 'idle instances are asked to drain',
  'silent-removed': 'silent instances are removed',
  'override-ends': 'the override ends',
  'next-tick': 'the scaler checks again',
};

export interface DecisionInContext {
  readonly decision: Decision;
  /** Null where the fleet cannot be read. */
  readonly instances: number | null;
  readonly override: Override | null | 'unknown';
  readonly now: Date;
  readonly isLeading: boolean;
  readonly isWhatIf: boolean;
}

export function explainInWords({
  decision,
  instances,
  override,
  now,
  isLeading,
  isWhatIf,
}: DecisionInContext): string[] {
  const { reason, capacityDesired, steps, actions, blockers, next } = decision;
  const would = isWhatIf ? 'There would be' : 'There should be';
  return [
    `${instances === null ? 'The number of instances is unknown' : `There ${are(instances)}`}. ${would} ${capacityDesired}.`,
    REASON_SENTENCES[reason],
    ...section(
      'Calculation:',
      steps.map((step) => sentenceOf(step)),
    ),
    ...overrideLines(override, now),
    ...section(
      'Blockers:',
      blockers.map((blocker) => blockerLine(blocker, now)),
    ),
    ...section(
      isWhatIf ? 'Actions in that case:' : isLeading ? 'Actions:' : 'Actions of the scaler that leads:',
      actions.length === 0 ? ['none'] : actions.map(actionLine),
    ),
    `Next: ${NEXT_WORDS[next.kind]}${next.at === null ? '' : `, ${when(next.at, now)}`}.`,
    ...(isLeading || isWhatIf ? [] : ['This scaler is not leading. It takes no action.']),
  ];
}

function are(count: number): string {
  return count === 1 ? 'is 1 instance' : `are ${count} instances`;
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [title, ...lines.map((line) => `  ${line}`)];
}

function overrideLines(override: DecisionInContext['override'], now: Date): string[] {
  if (override === null) return [];
  if (override === 'unknown')
    return ['Override: unknown. It cannot be read; the log of the scaler has the cause.'];
  const { author, reason, setAt, expiresAt } = override;
  const since = `since ${setAt.toISOString()}, until ${expiresAt.toISOString()} (${when(expiresAt, now)})`;
  return [`Override: ${describeOverride(override)}, by ${author}: “${reason}”, ${since}.`];
}

function blockerLine({ kind, pool, detail, until }: Blocker, now: Date): string {
  const where = pool === null ? '' : ` (${pool})`;
  return `${kind}${where}: ${detail}${until === null ? '' : ` (ends ${when(until, now)})`}`;
}

function actionLine(action: Action): string {
  switch (action.kind) {
    case 'scale-out':
      return `scale out ${action.pool} to ${action.total} in total`;
    case 'drain':
      return `drain ${action.vmIds.join(', ')}: ${WHY_WORDS[action.why]}`;
    case 'remove':
      return `remove ${action.instanceIds.join(', ')} from ${action.pool}: ${WHY_WORDS[action.why]}`;
  }
}

/** `in 4 min`, `in 12 s`, `now`. */
export function when(at: Date, now: Date): string {
  const seconds = Math.round((at.getTime() - now.getTime()) / 1000);
  if (seconds <= 0) return 'now';
  if (seconds < 120) return `in ${seconds} s`;
  return seconds < 7200 ? `in ${Math.round(seconds / 60)} min` : `in ${Math.round(seconds / 3600)} h`;
}
