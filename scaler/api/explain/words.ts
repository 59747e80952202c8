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
  'work-waits': 'There is more work than the current instances can finish in time.',
  minimum: 'The fleet keeps its minimum number of instances, with or without work.',
  override: 'An override sets the size of the fleet.',
  replacing: 'An instance is faulty, silent or never started. It is being replaced.',
  'idle-too-long': 'Instances have been idle for the whole idle window.',
  drained: 'Instances have drained and hold no work.',
  'not-running': 'Instances are not running: they were evicted, switched off or never created.',
  'enough-at-work': 'The fleet has as many instances as it needs.',
  'idle-window': 'There are more instances than needed, but the idle window is not over.',
  'zero-not-confirmed': 'There seems to be no work left. A second reading has to confirm it.',
  'nothing-to-do': 'There is no work, and there are no instances.',
  'capacity-reached': 'The work needs more instances than the maximum allows.',
  'spending-reached': 'The work needs more instances than the hourly spending limit allows.',
  'pools-blocked': 'The work needs more instances than the cloud provides at the moment.',
  'boots-fail': 'Several instances in a row never reported. The scaler tries one at a time.',
  'asked-already': 'A pool is changing, or was written to a moment ago.',
  'work-unknown': 'Cannot read the queue or the ledger. The fleet does not shrink.',
  'workers-unknown': 'Cannot read heartbeats or drain requests. No instance is drained or removed.',
  'fleet-unknown': 'Cannot read the fleet. The scaler takes no action.',
  'fleet-silent':
    'No worker sends heartbeats any more. Storage or the network is the likely cause, so no instance is removed.',
};

const WHY_WORDS: Readonly<Record<RemoveWhy, string>> = {
  idle: 'idle for the whole idle window',
  override: 'more than the override allows',
  faulty: 'fails frames that other instances process',
  silent: 'silent for longer than any lease',
  'never-reported': 'never sent a heartbeat',
  'never-ready': 'never became ready',
  'by-itself': 'drained by itself',
  asked: 'has an earlier drain request',
  stopped: 'not running',
  failed: 'could not be created',
};

const NEXT_WORDS: Readonly<Record<Next['kind'], string>> = {
  'pool-asked-again': 'the scaler asks a blocked pool again',
  'boot-tried-again': 'the scaler tries one more instance',
  'boot-overdue': 'an instance that has not reported counts as lost',
  'idle-drained': 'the scaler drains idle instances',
  'silent-removed': 'the scaler removes silent instances',
  'override-ends': 'the override ends',
  'next-tick': 'the next tick',
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
