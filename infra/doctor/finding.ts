/** Creates findings and formats them for a terminal. PURE. */
import { type Finding, VERDICTS } from '../../shared/contract/finding.ts';

export const okFinding = (topic: string, message: string): Finding => ({ topic, verdict: 'ok', message });
export const warningFinding = (topic: string, message: string, hint: string): Finding => ({
  topic,
  verdict: 'warning',
  message,
  hint,
});
export const errorFinding = (topic: string, message: string, hint: string): Finding => ({
  topic,
  verdict: 'error',
  message,
  hint,
});

const TOPIC_WIDTH = 10;
const VERDICT_WIDTH = 9;

/** One line; the hint, if there is one, on a second line. */
export function formatFinding({ topic, verdict, message, hint }: Finding): string {
  const line = `${verdict.padEnd(VERDICT_WIDTH)}${topic.padEnd(TOPIC_WIDTH)}${message}`;
  return hint === undefined ? line : `${line}\n${' '.repeat(VERDICT_WIDTH + TOPIC_WIDTH)}${hint}`;
}

/** `2 errors, 1 warning, 9 ok.` */
export function formatSummary(findings: readonly Finding[]): string {
  const counts = VERDICTS.toReversed().map((verdict) => {
    const count = findings.filter((one) => one.verdict === verdict).length;
    return `${count} ${verdict}${verdict === 'ok' || count === 1 ? '' : 's'}`;
  });
  return `${counts.join(', ')}.`;
}
