/**
 * Creates findings and formats them for a terminal. A terminal shows the verdicts as `ok`, `warning` and `error`;
 * JSON keeps the field values of the contract. PURE.
 */
import { type Finding, VERDICTS } from '../../shared/contract/finding.ts';

export const okFinding = (topic: string, says: string): Finding => ({ topic, verdict: 'right', says });
export const warningFinding = (topic: string, says: string, todo: string): Finding => ({
  topic,
  verdict: 'warning',
  says,
  todo,
});
export const errorFinding = (topic: string, says: string, todo: string): Finding => ({
  topic,
  verdict: 'wrong',
  says,
  todo,
});

const LABELS: Readonly<Record<Finding['verdict'], string>> = {
  right: 'ok',
  warning: 'warning',
  wrong: 'error',
};
const TOPIC_WIDTH = 10;
const VERDICT_WIDTH = 9;

/** One line; the hint, if there is one, on a second line. */
export function formatFinding({ topic, verdict, says, todo }: Finding): string {
  const line = `${LABELS[verdict].padEnd(VERDICT_WIDTH)}${topic.padEnd(TOPIC_WIDTH)}${says}`;
  return todo === undefined ? line : `${line}\n${' '.repeat(VERDICT_WIDTH + TOPIC_WIDTH)}${todo}`;
}

/** `2 errors, 1 warning, 9 ok.` */
export function formatSummary(findings: readonly Finding[]): string {
  const counts = VERDICTS.toReversed().map((verdict) => {
    const count = findings.filter((one) => one.verdict === verdict).length;
    return `${count} ${LABELS[verdict]}${verdict === 'right' || count === 1 ? '' : 's'}`;
  });
  return `${counts.join(', ')}.`;
}
