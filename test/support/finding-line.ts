/** Formats a finding and its hint as one line, for tests that compare the full text. */
import type { Finding } from '../../shared/contract/finding.ts';

export function findingLine({ topic, verdict, message, hint = '' }: Finding): string {
  return `${verdict} ${topic}: ${message} | ${hint}`;
}
