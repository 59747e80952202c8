/** Makes findings, and says them to a person. PURE. */
import { type Finding, VERDICTS } from '../../shared/contract/finding.ts';

export const right = (topic: string, says: string): Finding => ({ topic, verdict: 'right', says });
export const warning = (topic: string, says: string, todo: string): Finding => ({
  topic,
  verdict: 'warning',
  says,
  todo,
});
export const wrong = (topic: string, says: string, todo: string): Finding => ({
  topic,
  verdict: 'wrong',
  says,
  todo,
});

const TOPIC_WIDTH = 10;
const VERDICT_WIDTH = 9;

/** A line, and what to do on the next. */
export function findingText({ topic, verdict, says, todo }: Finding): string {
  const line = `${verdict.padEnd(VERDICT_WIDTH)}${topic.padEnd(TOPIC_WIDTH)}${says}`;
  return todo === undefined ? line : `${line}\n${' '.repeat(VERDICT_WIDTH + TOPIC_WIDTH)}${todo}`;
}

/** `2 wrong, 1 warning, 9 right.` */
export function summary(findings: readonly Finding[]): string {
  const counts = VERDICTS.toReversed().map((verdict) => {
    const count = findings.filter((one) => one.verdict === verdict).length;
    return `${count} ${verdict}${verdict === 'warning' && count !== 1 ? 's' : ''}`;
  });
  return `${counts.join(', ')}.`;
}
