/** A decision in plain words: why the fleet is the size it is, the sum, what is in the way, and what comes next. PURE. */
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
  'work-waits': 'There is more work than the instances at hand can do in time.',
  minimum: 'So many instances are kept, work or not.',
  override: 'Somebody asked for another size.',
  replacing: 'An instance is at fault, silent or never came up: it goes, and another comes.',
  'idle-too-long': 'Instances have been idle for what a cold start costs.',
  drained: 'Instances have finished, and hold nothing any more.',
  'not-running': 'Instances do not run: evicted, switched off, or never made.',
  'enough-at-work': 'There are as many instances as are wanted.',
  'idle-window': 'There are more instances than are wanted, but not for long enough.',
  'zero-not-confirmed': 'Nothing seems left to do, but that was read only once.',
  'nothing-to-do': 'There is nothing to do, and nobody there.',
  'capacity-reached': 'More instances are wanted than there may be.',
  'spending-reached': 'More instances are wanted than may be paid for.',
  'pools-blocked': 'More instances are wanted than Azure gives at the moment.',
  'boots-fail': 'Instances in a row never reported: one at a time is tried.',
  'asked-already': 'The pool is changing already, or was asked a moment ago.',
  'work-unknown': 'The queue or the ledger cannot be read: nothing shrinks.',
  'workers-unknown': 'Heartbeats or drain requests cannot be read: nobody goes.',
  'fleet-unknown': 'The fleet cannot be read: nothing is done.',
  'fleet-silent': 'No heartbeat is read any more. That is our trouble, and not theirs: nobody goes.',
};

const WHY_WORDS: Readonly<Record<RemoveWhy, string>> = {
  idle: 'idle for long enough',
  override: 'more than was asked for',
  faulty: 'failing what others score',
  silent: 'silent for longer than any lease',
  'never-reported': 'never heard of',
  'never-ready': 'never ready',
  'by-itself': 'drained by itself',
  asked: 'asked to go',
  stopped: 'not running',
  failed: 'never made',
};

const NEXT_WORDS: Readonly<Record<Next['kind'], string>> = {
  'pool-asked-again': 'a pool is asked again',
  'boot-tried-again': 'one more instance is tried',
  'boot-overdue': 'an instance that has not reported counts as lost',
  'idle-drained': 'idle instances are asked to finish',
  'silent-removed': 'silent instances are removed',
  'override-ends': 'the override ends',
  'next-tick': 'it looks again',
};

export interface Explained {
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
}: Explained): string[] {
  const { reason, capacityDesired, steps, actions, blockers, next } = decision;
  const would = isWhatIf ? 'There would be' : 'There should be';
  return [
    `${instances === null ? 'Nobody knows how many instances there are' : `There ${are(instances)}`}. ${would} ${capacityDesired}.`,
    REASON_SENTENCES[reason],
    ...section(
      'The sum:',
      steps.map((step) => sentenceOf(step)),
    ),
    ...overrideLines(override, now),
    ...section(
      'In the way:',
      blockers.map((blocker) => blockerLine(blocker, now)),
    ),
    ...section(
      isWhatIf ? 'It would, now:' : isLeading ? 'Now:' : 'The scaler that leads will, now:',
      actions.length === 0 ? ['do nothing'] : actions.map(actionLine),
    ),
    `Next: ${NEXT_WORDS[next.kind]}${next.at === null ? '' : `, ${when(next.at, now)}`}.`,
    ...(isLeading || isWhatIf ? [] : ['This scaler is not leading: it only watches.']),
  ];
}

function are(count: number): string {
  return count === 1 ? 'is 1 instance' : `are ${count} instances`;
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [title, ...lines.map((line) => `  ${line}`)];
}

function overrideLines(override: Explained['override'], now: Date): string[] {
  if (override === null) return [];
  if (override === 'unknown') return ['Override: there may be one, but it cannot be read.'];
  const { author, reason, setAt, expiresAt } = override;
  const since = `since ${setAt.toISOString()}, until ${expiresAt.toISOString()} (${when(expiresAt, now)})`;
  return [`Override: ${describeOverride(override)}, by ${author}: “${reason}”, ${since}.`];
}

function blockerLine({ kind, pool, detail, until }: Blocker, now: Date): string {
  const where = pool === null ? '' : ` (${pool})`;
  return `${kind}${where}: ${detail}${until === null ? '' : `, ${when(until, now)}`}`;
}

function actionLine(action: Action): string {
  switch (action.kind) {
    case 'scale-out':
      return `ask ${action.pool} for ${action.total} in all`;
    case 'drain':
      return `ask ${action.vmIds.join(', ')} to finish: ${WHY_WORDS[action.why]}`;
    case 'remove':
      return `remove ${action.instanceIds.join(', ')} of ${action.pool}: ${WHY_WORDS[action.why]}`;
  }
}

/** `in 4 min`, `in 12 s`, `now`. */
export function when(at: Date, now: Date): string {
  const seconds = Math.round((at.getTime() - now.getTime()) / 1000);
  if (seconds <= 0) return 'now';
  if (seconds < 120) return `in ${seconds} s`;
  return seconds < 7200 ? `in ${Math.round(seconds / 60)} min` : `in ${Math.round(seconds / 3600)} h`;
}
