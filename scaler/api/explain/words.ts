/** A decision in sentences: why the fleet has its size, the calculation, what blocks it, and what comes next. PURE. */
import { instantText } from '../../../shared/command/text.ts';
import {
  type Action,
  type Blocker,
  NEXT_EVENT_TEXTS,
  REASON_SENTENCES,
  REMOVAL_REASON_TEXTS,
  type ScalingDecision,
  sentenceOf,
} from '../../decide/decision.ts';
import { type Override, describeOverride } from '../../override/document.ts';
import { localTimeText } from '../../schedule.ts';

export interface DecisionInContext {
  readonly decision: ScalingDecision;
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
    nextLine(next, now),
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
  const since = `since ${instantText(setAt.toISOString())}, until ${instantText(expiresAt.toISOString())} (${when(expiresAt, now)})`;
  return [`Override: ${describeOverride(override)}, by ${author}: “${reason}”, ${since}.`];
}

function blockerLine({ kind, pool, detail, until }: Blocker, now: Date): string {
  const where = pool === null ? '' : ` (${pool})`;
  const change = kind === 'override' ? 'ends' : 'next try';
  return `${kind}${where}: ${detail}${until === null ? '' : ` (${change} ${when(until, now)})`}`;
}

function actionLine(action: Action): string {
  switch (action.kind) {
    case 'scale-out':
      return `scale out ${action.pool} to ${action.total} in total`;
    case 'drain':
      return `drain ${action.vmIds.join(', ')}: ${REMOVAL_REASON_TEXTS[action.why]}`;
    case 'remove':
      return `remove ${action.instanceIds.join(', ')} from ${action.pool}: ${REMOVAL_REASON_TEXTS[action.why]}`;
  }
}

function nextLine({ kind, at, timeZone }: ScalingDecision['next'], now: Date): string {
  if (at === null) return `Next: ${NEXT_EVENT_TEXTS[kind]}.`;
  const local = timeZone === undefined ? '' : ` at ${localTimeText(at, now, timeZone)}`;
  return `Next: ${NEXT_EVENT_TEXTS[kind]}${local}, ${when(at, now)}.`;
}

/** `in 4 min`, `in 12 s`, `now`. */
export function when(at: Date, now: Date): string {
  const seconds = Math.round((at.getTime() - now.getTime()) / 1000);
  if (seconds <= 0) return 'now';
  if (seconds < 120) return `in ${seconds} s`;
  return seconds < 7200 ? `in ${Math.round(seconds / 60)} min` : `in ${Math.round(seconds / 3600)} h`;
}
